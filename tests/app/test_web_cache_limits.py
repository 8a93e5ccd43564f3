"""What the cache of a real server takes, keeps and holds in memory, and what a kill leaves."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from pathlib import Path

import pytest

from tests.proc import family
from tests.processes import LOOPBACK, Program, Stage, free_port, wait_until
from tests.visitor import Door, Ear, serve

CHUNK = 8192
PIECE = 65_536
MIB = 1 << 20
MEMORY_KIB = 64 * 1024


@pytest.fixture
def open_stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "open", password=None)


def put(cache: Ear, stream: str, content: bytes) -> None:
    cache.say({"type": "start", "streamId": stream})
    cache.until("started")
    for at in range(0, len(content), CHUNK):
        cache.say_bytes(content[at : at + CHUNK])
    cache.say({"type": "stop", "streamId": stream})


def listed(door: Door) -> dict[str, str]:
    """The digests by id."""
    with door.socket("/audio") as cache:
        cache.say({"type": "list"})
        return {each["id"]: each["sha256"] for each in cache.until("listed")["streams"]}


def peak_kib(program: Program) -> int:
    """The most memory that any of its processes has had so far."""

    def peak(pid: int) -> int:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)

    return max(map(peak, family(program.pid)))


def test_so_many_bytes_are_kept(open_stage: Stage) -> None:
    """What is larger is refused, what was not used for longest makes room."""
    with open_stage as stage:
        _, door = serve(stage, "--cache_max_bytes", "300000")
        with door.socket("/audio") as cache:
            for name in ("old", "used"):
                put(cache, name, bytes(120_000))
                cache.until("stopped")
            cache.say({"type": "get", "streamId": "old", "offset": 0, "length": 64})
            cache.hear(1)
            put(cache, "new", bytes(120_000))
            cache.until("stopped")
            assert listed(door).keys() == {"old", "new"}
            put(cache, "large", bytes(300_001))
            assert "no room" in cache.until("error")["message"]
        assert "large" not in listed(door)


def test_what_nobody_uses_goes(open_stage: Stage) -> None:
    with open_stage as stage:
        _, door = serve(stage, "--cache_ttl", "1")
        with door.socket("/audio") as cache:
            put(cache, "short", b"x")
            cache.until("stopped")
        wait_until(lambda: not listed(door), "it is given up")
        assert {each.name for each in (stage.folder / "cache").iterdir()} == {"lock"}


def test_memory_does_not_depend_on_the_size(open_stage: Stage) -> None:
    """Neither the server's nor the client's, which carries a file twice as large as both
    may be, there and back."""
    with open_stage as stage:
        server, door = serve(stage)
        file = stage.folder / "large.bin"
        with file.open("wb") as out:
            for _ in range(2 * MEMORY_KIB >> 10):
                out.write(os.urandom(MIB))
        uri = f"ws://{LOOPBACK}:{door.port}/audio"
        words = ("-s", uri, "-i", str(file), "-o", "back.bin")
        client = stage.run("cache", "cache", *words, stats=False)
        peaks_kib = []

        def ends() -> bool:
            peaks_kib.append(peak_kib(client))
            return "verified" in client.said

        wait_until(ends, "it comes back as it went")
        assert client.ends() == 0
        assert 0 < peaks_kib[-1] < MEMORY_KIB
        assert peak_kib(server) < MEMORY_KIB


def test_one_that_asks_and_does_not_read(open_stage: Stage) -> None:
    """It is read no more once its answers wait; nothing of them piles up in memory."""
    with open_stage as stage:
        server, door = serve(stage)
        with door.socket("/audio") as cache:
            put(cache, "long", bytes(4_000_000))
            cache.until("stopped")
            cache.sock.settimeout(2.0)
            question = {"type": "get", "streamId": "long", "offset": 0, "length": PIECE}
            with pytest.raises(TimeoutError):
                # All the kernels' buffers together hold less than this many.
                for _ in range(16 * MIB // len(str(question))):
                    cache.say(question)
            assert listed(door).keys() == {"long"}
        assert peak_kib(server) < MEMORY_KIB


def test_it_is_bound_where_it_is_said(open_stage: Stage) -> None:
    with open_stage as stage:
        _, door = serve(stage)
        assert door.ask("/").status == 200
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", door.port), 5)


@pytest.mark.parametrize("megabytes", [0, 1, 7, 20, 24])
def test_a_server_that_is_killed_during_an_upload(open_stage: Stage, megabytes: int) -> None:
    """When it has had so much of it, or at its end. Another server can go on with the
    folder at once, in which the file is absent or whole, and no rest of it."""
    content = os.urandom(MIB) * 24
    with open_stage as stage:
        server, door = serve(stage)
        with door.socket("/audio") as cache:
            cache.say({"type": "start", "streamId": "x"})
            cache.until("started")
            for at in range(0, megabytes * MIB, CHUNK):
                cache.say_bytes(content[at : at + CHUNK])
            if megabytes * MIB == len(content):
                cache.say({"type": "stop", "streamId": "x"})
            server.kill()
        folder = stage.folder / "cache"
        found = {}

        def opens() -> bool:
            """The killed one's web process may need a moment to notice."""
            stage.port = free_port()
            again, door = serve(stage, ready=False)
            wait_until(lambda: "listening on" in again.said or not again.running, "it begins")
            if again.running:
                found.update(listed(door))
                assert len(list(folder.iterdir())) == 1 + 2 * len(found)
                with door.socket("/audio") as cache:
                    put(cache, "x", content[:CHUNK])
                    cache.until("error" if found else "stopped")
            else:
                assert "used by another server" in again.said, again.said
            return bool(again.leave() == 0)

        begun_s = time.monotonic()
        wait_until(opens, "another server has the folder")
        assert time.monotonic() - begun_s < 10
        assert found in ({}, {"x": hashlib.sha256(content).hexdigest()})
        assert not found or megabytes * MIB == len(content)
