"""Ways to start, and what is said."""

from __future__ import annotations

import re
import stat
import subprocess
import sys

from tests.app.test_refusals import complaint, lines
from tests.processes import PASSWORD, ROOT, Stage

ORIGINAL_CLIENT = """\
[echowarp_conf]
is_server=False
udp_port={port}
server_address=127.0.0.1
reconnect_attempt=5
is_ssl=True
is_integrity_control=True
workers=1
socket_buffer_size=6144
device_encoding_names=utf-8
ignore_device_encoding_names=False
is_error_log=False
"""


class TestPassword:
    def test_from_everywhere(self, stage: Stage) -> None:
        """The server has it from a file with a BOM and CRLF; clients from an argument,
        the environment, a file and standard input."""
        (stage.folder / "word").write_bytes(b"\xef\xbb\xbfs3cret\r\nsecond line\r\n")
        (stage.folder / "plain").write_text("s3cret")
        stage.server("--password_file", "word", password=None)
        piped = stage.client(
            *("--duration", "0.1", "--password_file", "-"), password=None, stdin=subprocess.PIPE
        )
        clients = [
            stage.client("--duration", "0.1", "-p", "s3cret", password=None),
            stage.client("--duration", "0.1", password="s3cret"),
            stage.client("--duration", "0.1", "--password_file", "plain", password="ignored"),
            piped,
        ]
        assert piped.process.stdin is not None
        piped.process.stdin.write(b"s3cret\n")
        piped.process.stdin.close()
        assert [client.ends() for client in clients] == [0, 0, 0, 0], stage.said()
        assert "other users of this machine can see" in clients[0].said
        assert "other users" not in clients[1].said

    def test_none_is_said_once_on_both_sides(self, stage: Stage) -> None:
        server = stage.server("--ssl", password=None)
        client = stage.client("--duration", "0.1", password=None)
        assert client.ends() == 0
        assert server.said.count("no password:") == client.said.count("no password:") == 1
        assert server.said.count("stops listeners") == 1

    def test_a_file_that_is_not_there(self, stage: Stage) -> None:
        client = stage.client("--password_file", "nowhere", password=None)
        assert "nowhere" in complaint(client, 2)

    def test_two_readers_of_standard_input(self, stage: Stage) -> None:
        complaint(stage.server("--password_file", "-", source="-", ready=False), 2)


class TestConfigFile:
    def test_of_the_original(self, stage: Stage) -> None:
        """With keys that mean nothing to a client, which are accepted with a notice."""
        text = ORIGINAL_CLIENT.format(port=stage.port) + "duration=0.2\nsink=got.wav\n"
        (stage.folder / "client.conf").write_text(text)
        stage.server("--ssl")
        client = stage.run("client", "-f", "client.conf", password=PASSWORD, stats=False)
        assert client.ends() == 0, client.said
        assert "is_ssl" in client.said
        assert (stage.folder / "got.wav").exists()

    def test_other_options_are_ignored_and_named(self, stage: Stage) -> None:
        (stage.folder / "a.conf").write_text(
            f"[echowarp_conf]\nsource=tone\nbind=127.0.0.1\nudp_port={stage.port}\nduration=0.2\n"
        )
        server = stage.run("server", "-f", "a.conf", "--ssl", password=PASSWORD, stats=False)
        server.says("listening on port")
        assert "--ssl" in server.said
        client = stage.client()
        assert (client.ends(), server.ends()) == (0, 0)
        assert client.stream["suite"] == "none"

    def test_saved_loads_back(self, stage: Stage) -> None:
        """Whatever characters the password has; the file is its owner's alone."""
        word = ' "pass%word" # = \\ ; тест '
        server = stage.server("-s", "saved.conf", "--ssl", password=word)
        saved = stage.folder / "saved.conf"
        assert stat.S_IMODE(saved.stat().st_mode) == 0o600
        assert "settings saved to saved.conf" in server.said
        assert server.leave() == 0
        (stage.folder / "server.stats").unlink()
        again = stage.run("server", "-f", "saved.conf", stats=False)
        again.says("listening on port")
        client = stage.client("--duration", "0.2", password=word)
        assert client.ends() == 0, client.said
        assert client.stream["suite"] == "encrypted"

    def test_bad_ones_are_one_line(self, stage: Stage) -> None:
        for name, text in {
            "unknown.conf": b"[echowarp_conf]\nnonsense=1\n",
            "twice.conf": b"[echowarp_conf]\nloop=True\nloop=True\n",
            "section.conf": b"[other]\nloop=True\n",
            "value.conf": b"[echowarp_conf]\nudp_port=many\n",
            "binary.conf": bytes(range(256)),
        }.items():
            (stage.folder / name).write_bytes(text)
            assert name in complaint(stage.run("server", "-f", name, stats=False), 2)
        assert "missing.conf" in complaint(stage.run("x", "-f", "missing.conf", stats=False), 2)


def test_quiet_says_nothing_when_all_is_well(stage: Stage) -> None:
    server = stage.server("-q", "--ssl", "--duration", "0.3", ready=False)
    client = stage.client("-q", "-r", "0")
    assert (client.ends(), server.ends()) == (0, 0)
    for program in (server, client):
        assert [line for line in lines(program) if "trying again" not in line] == []
        assert program.out.read_bytes() == b""


def test_standard_output_carries_nothing_but_what_was_asked(stage: Stage) -> None:
    server = stage.server("-v")
    client = stage.client("-v", "--duration", "0.2")
    assert client.ends() == 0
    assert server.leave() == 0
    assert client.out.read_bytes() == server.out.read_bytes() == b""


def test_errors_also_go_to_a_file(stage: Stage) -> None:
    stage.server()
    client = stage.client("-l", password="wrong")
    assert client.ends() == 3
    (log,) = stage.folder.glob("echowarp_errors_*.log")
    assert "wrong password" in log.read_text()
    assert re.fullmatch(r"echowarp_errors_\d{4}-\d\d-\d\d\.log", log.name)


def test_as_a_module_and_by_name(stage: Stage) -> None:
    for words in (("-m", "echowarp"), ("-m", "echowarp.main")):
        done = subprocess.run(
            [sys.executable, *words, "--version"], cwd=ROOT, capture_output=True, text=True
        )
        assert re.fullmatch(r"echowarp \d+\.\d+\.\d+\n", done.stdout)
        assert (done.returncode, done.stderr) == (0, "")


def test_interrupted_while_it_loads() -> None:
    """Ctrl+C before there is anything to end: no traceback, and status 0."""
    code = (
        "import builtins, sys; load = builtins.__import__\n"
        "def interrupted(name, *rest):\n"
        "    if name == 'echowarp.config.argv': raise KeyboardInterrupt\n"
        "    return load(name, *rest)\n"
        "builtins.__import__ = interrupted\n"
        "from echowarp.__main__ import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--version"], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
