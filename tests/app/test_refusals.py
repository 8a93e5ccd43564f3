"""Clients that are not let in: one clear line each, and the exit status of the contract."""

from __future__ import annotations

import re
import signal
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes import LOOPBACK, PASSWORD, Program, Stage, wait_until

NOTICES = ("no password:", "without a password, --ssl", "the audio itself is neither")
"""What is said of a run without protection, before anything else."""
CLOCK = re.compile(r"^\d\d:\d\d:\d\d ")


def lines(program: Program) -> list[str]:
    """What it said, without the clock, beyond the notices."""
    said = [CLOCK.sub("", line) for line in program.said.splitlines()]
    return [line for line in said if not any(notice in line for notice in NOTICES)]


def complaint(program: Program, status: int) -> str:
    """The one line of a program that ends with that status."""
    assert program.ends() == status, program.said
    (line,) = lines(program)
    return line


class TestPassword:
    def test_a_wrong_one(self, stage: Stage) -> None:
        server = stage.server("--ssl")
        assert "wrong password" in complaint(stage.client(password="wrong"), 3)
        server.says("127.0.0.1 gave a wrong password")

    def test_one_on_one_side_only(self, tmp_path: Path) -> None:
        with Stage(tmp_path / "a") as guarded, Stage(tmp_path / "b", password=None) as open_:
            guarded.server()
            open_.server()
            without, with_ = guarded.client(password=None), open_.client(password=PASSWORD)
            assert "wrong password" in complaint(without, 3)
            assert "wrong password" in complaint(with_, 3)
            assert not (open_.folder / "echowarp_ban_list.txt").exists()

    def test_is_never_in_a_log(self, stage: Stage) -> None:
        server = stage.server("-v", password="swordfish")
        right = stage.client("-v", "--duration", "0.2", password="swordfish")
        wrong = stage.client("-v", password="trombone")
        assert (right.ends(), wrong.ends()) == (0, 3)
        assert server.leave() == 0
        said = "".join(stage.said())
        assert "swordfish" not in said
        assert "trombone" not in said


class TestBans:
    def test_after_as_many_failures_as_allowed(self, stage: Stage) -> None:
        """The last wrong guess bans: the file says so, the next is turned away, and so
        it stays after a restart, until the file says otherwise."""
        file = stage.folder / "bans.txt"
        server = stage.server("-r", "2", "--ban_list", file.name)
        for _ in range(2):
            assert not file.exists()
            assert stage.client(password="wrong").ends() == 3
        wait_until(file.exists, "the ban is saved")
        assert file.read_text() == "127.0.0.1\n"
        assert "bans.txt" in server.said
        assert "banned" in complaint(stage.client(), 3)
        assert server.leave() == 0
        server = stage.server("-r", "2", "--ban_list", file.name)
        assert "banned" in complaint(stage.client(), 3)
        if hasattr(signal, "SIGHUP"):
            file.write_text("# nobody\n")
            server.signal(signal.SIGHUP)
            server.says("read again: 0 entries")
            assert stage.client("--duration", "0.1").ends() == 0
            file.write_text("somebody\n10.0.0.1\n127.0.0.1\n")
            server.signal(signal.SIGHUP)
            server.says("read again: 2 entries")
            server.says("not an address, skipped: line 1")
            assert "banned" in complaint(stage.client(), 3)

    def test_never_with_zero(self, stage: Stage) -> None:
        (stage.folder / "echowarp_ban_list.txt").write_text("127.0.0.1\n")
        stage.server("-r", "0")
        clients = [stage.client(password="wrong") for _ in range(3)]
        assert [client.ends() for client in clients] == [3, 3, 3]
        assert stage.client("--duration", "0.1").ends() == 0

    def test_a_list_that_cannot_be_written_is_said_and_the_ban_holds(self, stage: Stage) -> None:
        folder = stage.folder / "bans"
        folder.mkdir()
        server = stage.server("-r", "1", "--ban_list", "bans/list.txt")
        folder.rmdir()
        assert stage.client(password="wrong").ends() == 3
        server.says("could not be saved")
        assert "banned" in complaint(stage.client(), 3)

    def test_a_list_in_a_folder_that_is_not_there(self, stage: Stage) -> None:
        server = stage.server("--ban_list", "nowhere/bans.txt", ready=False)
        assert "--ban_list nowhere/bans.txt: there is no folder" in complaint(server, 2)


def test_a_full_server(stage: Stage) -> None:
    stage.server("--max_clients", "1")
    first = stage.client()
    first.says("stream:")
    assert "--max_clients" in complaint(stage.client(), 3)
    assert first.leave() == 0
    assert stage.client("--duration", "0.1").ends() == 0


@contextmanager
def false_server(port: int, greeting: bytes) -> Iterator[list[bytes]]:
    """Greets every connection so, and keeps what the last one answers."""
    answers: list[bytes] = []
    with socket.create_server((LOOPBACK, port)) as listening:

        def serve() -> None:
            try:
                while True:
                    sock, _ = listening.accept()
                    with sock:
                        sock.settimeout(5)
                        sock.sendall(greeting)
                        answers.append(sock.recv(100))
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield answers
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_another_version(stage: Stage) -> None:
    greeting = struct.pack(">HB4sBB", 23, 1, b"EWRP", 9, 12) + bytes(16)
    with false_server(stage.port, greeting) as answers:
        assert "another version" in complaint(stage.client(), 3)
        assert answers == [struct.pack(">HBH", 3, 0x0F, 409)]


def test_a_server_that_is_something_else(stage: Stage) -> None:
    with false_server(stage.port, b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"):
        line = complaint(stage.client("-r", "1"), 4)
    assert "gave up after 1 attempt" in line


class TestNoConnection:
    def test_nobody_there(self, stage: Stage) -> None:
        """The same failure again is no line again."""
        client = stage.client("-r", "3")
        assert client.ends() == 4
        again, last = lines(client)
        why = f"no connection to {LOOPBACK} port {stage.port}: nothing listens there"
        why += " (is the server running?); "
        assert f"{why}trying again in " in again
        assert last.endswith(f"{why}gave up after 3 attempts; --reconnect 0 never gives up")

    def test_a_name_that_does_not_resolve(self, stage: Stage) -> None:
        client = stage.client("-r", "1", address="nobody.invalid")
        assert "nobody.invalid cannot be resolved" in complaint(client, 4)

    def test_for_ever_until_it_comes(self, stage: Stage) -> None:
        client = stage.client("-r", "0", "--duration", "0.1")
        client.says("nothing listens there")
        stage.server()
        assert client.ends() == 0


class TestServerCannotStart:
    def test_port_in_use(self, stage: Stage) -> None:
        stage.server()
        assert f"port {stage.port} is in use" in complaint(stage.server(ready=False), 2)

    @pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
    def test_port_in_use_by_another(self, stage: Stage, kind: socket.SocketKind) -> None:
        with socket.socket(socket.AF_INET, kind) as other:
            other.bind((LOOPBACK, stage.port))
            if kind == socket.SOCK_STREAM:
                other.listen()
            server = stage.server(bind=None, ready=False)
            assert "is in use" in complaint(server, 2)

    def test_an_address_that_is_not_ours(self, stage: Stage) -> None:
        assert "192.0.2.77" in complaint(stage.server(bind="192.0.2.77", ready=False), 2)

    def test_a_name_without_an_address(self, stage: Stage) -> None:
        assert "nobody.invalid" in complaint(stage.server(bind="nobody.invalid", ready=False), 2)

    def test_port_out_of_range(self, stage: Stage) -> None:
        assert "65536" in complaint(stage.run("server", "-u", "65536", stats=False), 2)
