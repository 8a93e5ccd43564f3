"""Whatever else speaks to the port: listeners play on, and nothing is said of it."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import socket
import ssl
import struct
from collections.abc import Callable

from tests.app.sounds import SECOND_BYTES, has_recorded, recorded_bytes
from tests.processes import LOOPBACK, Stage, wait_until
from tests.recordings import read_pcm, speech_wav


def scan(port: int) -> None:
    """Connects and leaves; connects, and resets."""
    for linger in (b"", struct.pack("ii", 1, 0)):
        with socket.create_connection((LOOPBACK, port)) as sock:
            if linger:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def ask_http(port: int) -> None:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", "/", headers={"User-Agent": "x" * 5_000})
        connection.getresponse()
    except (http.client.HTTPException, OSError):
        pass
    finally:
        connection.close()


def ask_tls(port: int) -> None:
    context = ssl.create_default_context()
    sock = socket.create_connection((LOOPBACK, port), timeout=5)
    with sock, contextlib.suppress(OSError):
        context.wrap_socket(sock, server_hostname="localhost").close()


def babble(port: int) -> None:
    """Random bytes, and frames that are nearly right."""
    chance = random.Random(port)
    hello = struct.pack(">HB", 50, 2)
    for said in (
        *(chance.randbytes(size) for size in (1, 2, 3, 100, 4_000)),
        *(bytes(5_000), b"\xff" * 5_000),
        *(
            hello,
            hello + b"\x01" + bytes(48),
            hello + b"\x01" + chance.randbytes(16) + b"\xff" * 32,
        ),
        hello + b"\x09" + chance.randbytes(48),
    ):
        with socket.create_connection((LOOPBACK, port), timeout=5) as sock:
            try:
                sock.sendall(said)
                sock.settimeout(0.05)
                while sock.recv(1_000):
                    pass
            except OSError:
                pass


def throw(port: int) -> None:
    """Garbage by UDP, some of it of the right shape: from a PROBE's length on."""
    chance = random.Random(port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((LOOPBACK, port))
        for _ in range(2_000):
            kind = chance.choice((b"\x40", b"\x01", b"\x41", b"\x00", b"\xff"))
            datagram = kind + chance.randbytes(chance.choice((0, 17, 18, 33, 1_200, 9_000)))
            with contextlib.suppress(OSError):
                sock.send(datagram)
        sock.send(b"")


STRANGERS: tuple[Callable[[int], None], ...] = (scan, ask_http, ask_tls, babble, throw)


def test_a_listener_is_not_disturbed(stage: Stage) -> None:
    """Two rounds of every stranger while a recording runs; some only connect and wait."""
    pcm = speech_wav(stage.folder / "in.wav", 1)
    sink = stage.folder / "got.wav"
    server = stage.server("--ssl", "--loop", source="in.wav")
    client = stage.client(sink="got.wav")
    has_recorded(sink, 0.3)
    idle = [socket.create_connection((LOOPBACK, stage.port)) for _ in range(40)]
    try:
        for _ in range(2):
            for stranger in STRANGERS:
                stranger(stage.port)
        has_recorded(sink, recorded_bytes(sink) / SECOND_BYTES + 0.3)
        assert (client.leave(), server.leave()) == (0, 0)
    finally:
        for sock in idle:
            sock.close()
    _, _, got = read_pcm(sink)
    assert got == (pcm * (len(got) // len(pcm) + 1))[: len(got)]
    assert (client.stream["rejected"], client.stream["lost"]) == (0, 0)
    said = [line.split(" ", 1)[1] for line in server.said.splitlines()]
    events = ("listening on port", "127.0.0.1 joined", "127.0.0.1 left", "done")
    assert len(said) == len(events), said
    assert all(line.startswith(event) for line, event in zip(said, events, strict=True)), said
    assert not (stage.folder / "echowarp_ban_list.txt").exists()


def test_connections_leave_nothing_behind(stage: Stage) -> None:
    """Thirty clients come and go, by a goodbye, a SIGKILL or before they are known:
    neither descriptors nor threads are left."""
    server = stage.server("-r", "0")

    def held() -> tuple[int, int]:
        place = f"/proc/{server.pid}"
        return len(os.listdir(f"{place}/fd")), len(os.listdir(f"{place}/task"))

    assert stage.client("--duration", "0.1").ends() == 0
    wait_until(lambda: " left: " in server.said, "the first has left")
    before = held()
    for turn in range(3):
        polite = [stage.client("-q", "--duration", "0.1") for _ in range(7)]
        wrong = stage.client("-q", password="wrong")
        killed = stage.client("-v")
        killed.says("stream:")
        killed.kill()
        scan(stage.port)
        assert [client.ends() for client in polite] == [0] * 7
        assert wrong.ends() == 3
        left = 1 + 8 * (turn + 1)
        wait_until(lambda n=left: server.said.count(" left: ") == n, "all have left")  # type: ignore[misc]
    wait_until(lambda: held() == before, f"{held()} becomes {before}")


def test_a_client_that_reconnects_keeps_nothing(stage: Stage) -> None:
    """Servers come and go under one client."""
    client = stage.client("-r", "0", sink="got.wav")
    held = []
    for turn in range(6):
        server = stage.server()
        wait_until(lambda n=turn: client.said.count("stream:") == n + 1, "it plays")  # type: ignore[misc]
        place = f"/proc/{client.pid}"
        held.append((len(os.listdir(f"{place}/fd")), len(os.listdir(f"{place}/task"))))
        server.kill()
    # A thread of the last connection may still be on its way out.
    assert max(held[3:]) <= (held[0][0] + 1, held[0][1] + 1), held
