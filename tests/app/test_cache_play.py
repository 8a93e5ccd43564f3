"""`echowarp cache --play` and `--source cache:ID`, as processes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from echowarp.app.cache_link import CacheLink
from echowarp.app.remote_file import RemoteFile
from echowarp.net.websocket_link import Trust
from echowarp.wire.http_target import parse_ws_uri
from tests.app.test_run_cache import Bench
from tests.cache_server import Foreign
from tests.processes import Stage
from tests.recordings import read_pcm, speech_wav


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield Bench(tmp_path, stack)


def speech(bench: Bench, seconds: float = 3) -> bytes:
    """A recording in in.wav; its samples."""
    path = bench.folder / "in.wav"
    speech_wav(path, seconds)
    return path.read_bytes().partition(b"data")[2][4:]


@pytest.mark.parametrize("kind", ["ours", "foreign"])
def test_it_plays_what_was_sent(bench: Bench, kind: str) -> None:
    pcm = speech(bench)
    files: dict[str, bytes] = {}
    server = bench.serve() if kind == "ours" else bench.serve(lambda: Foreign(files))
    bench.run(server, "-i", "in.wav", "--upload_only", "--id", "x")
    program = bench.run(server, "--play", "x", "--sink", "-")
    assert program.out.read_bytes() == pcm
    bench.run(server, "--play", "x", "--sink", "out.wav")
    assert (bench.folder / "out.wav").read_bytes().endswith(pcm)
    bench.run(server, "--play", "x", "--sink", "null")
    program = bench.run(server, "--play", "x", "--sink", "-", "--start", "1.5")
    assert program.out.read_bytes() == pcm[len(pcm) // 2 :]
    program = bench.run(server, "--play", "x", "--sink", "-", "--start", "3.1", status=2)
    assert "not so long" in program.said or kind == "foreign"


def test_what_cannot_be_played(bench: Bench) -> None:
    server = bench.serve()
    bench.file("in.bin")
    bench.run(server, "-i", "in.bin", "--upload_only", "--id", "x")
    assert "x: is not a WAV file" in bench.run(server, "--play", "x", "--sink", "-", status=2).said
    assert "has no y" in bench.run(server, "--play", "y", "--sink", "-", status=3).said


def test_a_card_plays_to_the_end(bench: Bench, pulse: dict[str, str]) -> None:
    speech(bench, 2)
    server = bench.serve()
    bench.run(server, "-i", "in.wav", "--upload_only", "--id", "x")
    bench.environment = pulse
    program = bench.run(server, "--play", "x")
    assert "playing x" in program.said and "too slow" not in program.said


def test_a_remote_file_is_read_from_anywhere(bench: Bench) -> None:
    server = bench.serve()
    data = bench.file("in.bin").read_bytes()
    bench.run(server, "-i", "in.bin", "--upload_only", "--id", "x")
    rng = random.Random(1)
    link = CacheLink(parse_ws_uri(server.uri), None, Trust())
    with link:
        for size in (len(data), None):
            file = RemoteFile(link, "x", size)
            for _ in range(60):
                at, count = rng.randrange(1, len(data)), rng.choice((0, 1, 999, 100_000))
                if rng.random() < 0.5:
                    file.seek(at)
                else:
                    at = min(len(data), file.tell() + 10)
                    file.seek(at - file.tell(), 1)
                assert file.read(count) == data[at : at + count]
                assert file.tell() == min(at + count, len(data))


def test_a_server_sends_a_file_of_its_cache(bench: Bench, tmp_path: Path) -> None:
    pcm = speech(bench, 1)
    bench.run(bench.serve(), "-i", "in.wav", "--upload_only", "--id", "Speech.1")
    folder = tmp_path / "stage"
    with Stage(folder) as stage:
        server = stage.server("--cache_dir", str(tmp_path / "cache"), source="cache:Speech.1")
        client = stage.client(sink="out.wav")
        assert (client.ends(), server.ends()) == (0, 0)
        assert pcm in (folder / "out.wav").read_bytes()
        missing = stage.server(
            "--cache_dir", str(tmp_path / "cache"), source="cache:speech.1", ready=False
        )
        assert missing.ends() == 2 and "no 'speech.1' in the cache" in missing.said


def test_talkers_send_a_file_of_the_cache_here(bench: Bench, tmp_path: Path) -> None:
    pcm = speech(bench, 1)
    bench.run(bench.serve(), "-i", "in.wav", "--upload_only", "--id", "Speech.1")
    folder = tmp_path / "stage"
    with Stage(folder) as stage:
        stage.server(source="none")
        sends = ("--source", "cache:Speech.1", "--cache_dir", str(tmp_path / "cache"))
        bob = stage.client("--nickname", "bob", "--auto_answer", *sends, sink="heard.wav")
        bob.says("here as bob")
        ann = stage.client("--nickname", "ann", "--call", "bob", *sends)
        assert ann.ends() == 0
        assert "no effect" not in ann.said
        bob.says("hung up")
        assert bob.leave() == 0
        assert read_pcm(folder / "heard.wav")[2] == pcm
