"""`echowarp cache` and the server's web port, both as users start them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import LOOPBACK, PASSWORD, Program, Stage
from tests.recordings import speech_wav
from tests.visitor import Door, serve

SIZES = (0, 1, 8191, 8192, 8193, 65_536)
LARGE = 64 << 20


class Ends:
    """A server, and clients of its cache by one of the ways to it."""

    def __init__(self, stage: Stage, server: Program, door: Door) -> None:
        self.stage, self.server, self.door = stage, server, door
        scheme = "wss" if door.tls else "ws"
        self.way = ["-s", f"{scheme}://{LOOPBACK}:{door.port}/audio"]
        if door.tls:
            (fingerprint,) = re.findall(r"SHA-256 ([0-9A-F:]{95})", server.said)
            self.way += ["--fingerprint", fingerprint]

    def start(self, *words: str) -> Program:
        password = self.stage.password
        return self.stage.run("cache", "cache", *self.way, *words, stats=False, password=password)

    def run(self, *words: str) -> Program:
        program = self.start(*words)
        assert program.ends() == 0, program.said
        return program


@pytest.fixture(scope="module", params=["in the open", "by TLS, with a password"])
def ends(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ends]:
    password = None if request.param == "in the open" else PASSWORD
    with Stage(tmp_path_factory.mktemp("ends"), password=password) as stage:
        yield Ends(stage, *serve(stage))
        assert not [line for line in stage.said() if "Traceback" in line or "opens anew" in line]


@pytest.mark.parametrize("size", [*SIZES, LARGE])
def test_there_and_back(ends: Ends, size: int) -> None:
    folder, data = ends.stage.folder, os.urandom(size)
    (folder / "in.bin").write_bytes(data)
    out = folder / f"out-{size}"
    program = ends.run("-i", "in.bin", "-o", out.name, "--id", f"size-{size}")
    assert "verified: SHA-256" in program.said and "Mbit/s, average" in program.said
    assert out.read_bytes() == data
    program = ends.run("-i", "in.bin", "-o", f"{out.name}-again", "--resume")
    assert "is there already" in program.said
    assert (folder / f"{out.name}-again").read_bytes() == data
    assert f"size-{size} " in ends.run("--list").out.read_text()


def test_ten_at_once(ends: Ends) -> None:
    folder = ends.stage.folder
    data = [os.urandom(1_000_000 + n) for n in range(10)]
    for n, each in enumerate(data):
        (folder / f"in-{n}").write_bytes(each)
    running = [ends.start("-i", f"in-{n}", "-o", f"out-of-{n}") for n in range(10)]
    assert [program.ends(patience_s=60) for program in running] == [0] * 10
    assert [(folder / f"out-of-{n}").read_bytes() for n in range(10)] == data


def test_a_file_is_played_as_it_comes(ends: Ends) -> None:
    speech_wav(ends.stage.folder / "speech.wav", 2.0)
    pcm = (ends.stage.folder / "speech.wav").read_bytes().partition(b"data")[2][4:]
    ends.run("-i", "speech.wav", "--upload_only", "--id", "speech")
    played = ends.run("--play", "speech", "--start", "1", "--sink", "-").out.read_bytes()
    assert played == pcm[len(pcm) // 2 :]


@pytest.mark.parametrize("capitals", [False, True])
def test_somebody_elses_client(ends: Ends, capitals: bool) -> None:
    """In either case of letters; each is answered in its own."""

    def spelled(word: str) -> str:
        return word.upper() if capitals else word

    query = "?token=correct%20horse" if ends.stage.password else ""
    name, data = spelled("theirs"), os.urandom(20_000)
    with ends.door.socket(f"/audio{query}") as cache:
        cache.say({"type": spelled("start"), "streamId": name})
        assert cache.until(spelled("started"))["streamId"] == name
        for at in range(0, len(data), 8192):
            cache.say_bytes(data[at : at + 8192])
        cache.say({"type": spelled("stop"), "streamId": name})
        cache.until(spelled("stopped"))
        cache.say({"type": spelled("start"), "streamId": name})
        assert "exists" in cache.until(spelled("error"))["message"]
        cache.say({"type": spelled("get"), "streamId": name, "offset": 0, "length": 65_536})
        (frame,) = cache.hear(1)
        assert len(frame.pcm) + 16 == len(data) and data.endswith(frame.pcm)
        cache.say({"type": spelled("get"), "streamId": name, "offset": 20_000, "length": 65_536})
        assert cache.until(spelled("error"))["message"]


def test_a_wrong_password(ends: Ends) -> None:
    """Is refused where one is wanted; where none is, it does no harm."""
    words = ("cache", *ends.way, "--list")
    program = ends.stage.run("cache", *words, stats=False, password="wrong")
    assert program.ends() == (0 if ends.stage.password is None else 3)
    assert ("wrong password" in program.said) is (ends.stage.password is not None)


def test_it_leaves_nothing_but_its_files(ends: Ends) -> None:
    """Also no part of a download, and none of an upload."""
    left = [path.name for path in Path(ends.stage.folder).rglob("*.part")]
    assert left == []
