"""Uploads to a server whose disk takes no more: they fail, and nothing else does."""

from __future__ import annotations

import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.processes import LOOPBACK, Stage, wait_until
from tests.visitor import Door, Ear, serve

CHUNK = 8192
ROOM = 2 << 20
TOO_MUCH = 2 * ROOM

Disk = Callable[[Path], AbstractContextManager[Callable[[], None] | None]]


@contextmanager
def small_disk(folder: Path) -> Iterator[Callable[[], None] | None]:
    """The folder is a file system with little room."""
    size = f"size={ROOM}"
    mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"nothing can be mounted here: {error.strerror}")
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        yield None
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def small_files(folder: Path) -> Iterator[Callable[[], None] | None]:
    """The server's process may write no large file, which it is told as of a full disk."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))

    yield limit


def put(cache: Ear, stream: str, size: int) -> None:
    """Sends a file, and does not mind what is said to it."""
    cache.say({"type": "start", "streamId": stream})
    cache.until("started")
    for _ in range(size // CHUNK):
        cache.say_bytes(bytes(CHUNK))
    cache.say({"type": "stop", "streamId": stream})


def listed(door: Door) -> set[str]:
    with door.socket("/audio") as cache:
        cache.say({"type": "list"})
        return {stream["id"] for stream in cache.until("listed")["streams"]}


@pytest.mark.parametrize("disk", [small_disk, small_files])
def test_a_full_disk(tmp_path: Path, disk: Disk) -> None:
    folder = tmp_path / "stage" / "cache"
    folder.mkdir(parents=True)
    with disk(folder) as prepare, Stage(tmp_path / "stage", password=None) as stage:
        server, door = serve(stage, prepare=prepare)
        listener = stage.client()
        listener.says("stream:")
        with door.socket("/audio") as cache, door.socket("/audio") as other:
            put(cache, "kept", ROOM // 4)
            cache.until("stopped")
            names = {each.name for each in folder.iterdir()}
            other.say({"type": "start", "streamId": "slow"})
            other.until("started")
            other.say_bytes(bytes(CHUNK))

            put(cache, "large", TOO_MUCH)
            assert "the server's disk" in cache.until("error")["message"]
            assert "not kept" in cache.until("error")["message"]
            # Who sends at the same time and has room, and who comes later, is not concerned.
            other.say({"type": "stop", "streamId": "slow"})
            other.until("stopped")
            put(cache, "later", ROOM // 4)
            cache.until("stopped")
        assert listed(door) == {"kept", "slow", "later"}
        left = {each.name for each in folder.iterdir()}
        assert len(left - names) == 4 and not any(name.endswith(".part") for name in left)

        (tmp_path / "large.bin").write_bytes(bytes(TOO_MUCH))
        uri = f"ws://{LOOPBACK}:{door.port}/audio"
        asked = ("cache", "-s", uri, "-i", str(tmp_path / "large.bin"), "--upload_only")
        client = stage.run("cache", *asked, stats=False)
        assert client.ends() == 3
        assert "the server's disk" in client.said and "Traceback" not in client.said
        assert {each.name for each in folder.iterdir()} == left

        before = listener.stream["received"]
        wait_until(lambda: listener.stream["received"] > before + 200, "more sound")
        assert listener.leave() == 0
        assert listener.stream["lost"] == 0
        assert server.leave() == 0
        assert server.said.count("error:") == 2 and "Traceback" not in server.said
