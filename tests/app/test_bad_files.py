"""Files that cannot be read or written, and readers that leave."""

from __future__ import annotations

import os
import resource
import signal
import struct
import subprocess
import wave
from pathlib import Path

import pytest

from tests.app.sounds import has_recorded
from tests.app.test_refusals import complaint, lines
from tests.processes import Stage
from tests.recordings import read_pcm, speech_wav


def write_compressed(path: Path) -> None:
    form = struct.pack("<HHIIHHH", 2, 1, 48_000, 24_000, 512, 4, 0)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", 512)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body) + 512) + body + bytes(512))


def write_empty(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, 48_000, 0, "NONE", ""))
        file.writeframes(b"")


class TestSource:
    @pytest.mark.parametrize("name", ["missing", "folder", "empty", "nothing", "ogg", "compressed"])
    def test_that_cannot_be_sent(self, stage: Stage, name: str) -> None:
        path = stage.folder / "in.wav"
        if name == "folder":
            path.mkdir()
        elif name == "empty":
            write_empty(path)
        elif name == "nothing":
            path.write_bytes(b"")
        elif name == "ogg":
            path.write_bytes(b"OggS" + bytes(100))
        elif name == "compressed":
            write_compressed(path)
        line = complaint(stage.server(source="in.wav", ready=False), 2)
        assert "in.wav" in line

    def test_truncated_is_said_and_sent_as_far_as_it_goes(self, stage: Stage) -> None:
        path = stage.folder / "in.wav"
        pcm = speech_wav(path, 1)
        path.write_bytes(path.read_bytes()[:-40_001])
        server = stage.server(source="in.wav")
        client = stage.client(sink="got.wav")
        assert (client.ends(), server.ends()) == (0, 0)
        assert read_pcm(stage.folder / "got.wav")[2] == pcm[: (len(pcm) - 40_001) // 4 * 4]
        assert "in.wav" in next(line for line in lines(server) if line.startswith("warning:"))


class TestSink:
    @pytest.mark.parametrize("sink", ["nowhere/got.wav", "/proc/got.wav", "folder.wav"])
    def test_that_cannot_be_written(self, stage: Stage, sink: str) -> None:
        """Found out before any connection: there is no server at all."""
        (stage.folder / "folder.wav").mkdir()
        assert sink in complaint(stage.client(sink=sink), 2)

    def test_that_exists_is_left_alone(self, stage: Stage) -> None:
        (stage.folder / "got.wav").write_bytes(b"precious")
        assert "--overwrite" in complaint(stage.client(sink="got.wav"), 2)
        assert (stage.folder / "got.wav").read_bytes() == b"precious"

    def test_that_exists_is_replaced_when_asked(self, stage: Stage) -> None:
        (stage.folder / "got.wav").write_bytes(b"old" * 1_000_000)
        pcm = speech_wav(stage.folder / "in.wav", 0.5)
        stage.server(source="in.wav")
        assert stage.client("--overwrite", sink="got.wav").ends() == 0
        assert read_pcm(stage.folder / "got.wav")[2] == pcm

    def test_no_server_leaves_no_file(self, stage: Stage) -> None:
        client = stage.client("-r", "1", sink="got.wav")
        assert client.ends() == 4
        assert not (stage.folder / "got.wav").exists()

    def test_a_full_disk_ends_a_recording_that_stays_valid(self, stage: Stage) -> None:
        limit = 150_001

        def little_room() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        pcm = speech_wav(stage.folder / "in.wav", 3)
        server = stage.server(source="in.wav")
        client = stage.client(sink="got.wav", prepare=little_room)
        assert client.ends() == 1
        errors = [line for line in lines(client) if line.startswith("error:")]
        assert len(errors) == 1
        assert "got.wav" in errors[0]
        _, _, got = read_pcm(stage.folder / "got.wav")
        assert len(got) == (limit - 80) // 4 * 4
        assert got == pcm[: len(got)]
        server.says("left")
        assert server.running

    def test_standard_output_without_room(self, stage: Stage) -> None:
        stage.server()
        with open("/dev/full", "wb") as full:
            client = stage.client(sink="-", stdout=full)
        assert client.ends() == 1
        errors = [line for line in lines(client) if line.startswith("error:")]
        assert len(errors) == 1

    def test_a_device_file_without_room(self, stage: Stage) -> None:
        stage.server()
        (stage.folder / "full.wav").symlink_to("/dev/full")
        client = stage.client("--overwrite", sink="full.wav")
        assert client.ends() == 1
        assert len([line for line in lines(client) if line.startswith("error:")]) == 1

    def test_a_reader_that_leaves_ends_it_quietly(self, stage: Stage) -> None:
        server = stage.server()
        client = stage.client("-q", sink="-", stdout=subprocess.PIPE)
        assert client.process.stdout is not None
        assert client.process.stdout.read(2_000)
        client.process.stdout.close()
        assert client.ends() == 0
        assert lines(client) == []
        server.says("left")

    def test_a_reader_that_is_slow_is_waited_for(self, stage: Stage) -> None:
        """It stands still for a while, longer than the pipe holds, and loses nothing."""
        pcm = speech_wav(stage.folder / "in.wav", 2)
        stage.server(source="in.wav")
        client = stage.client(sink="-", stdout=subprocess.PIPE)
        client.says("stream:")
        stage.programs[0].says("the source has ended")
        assert client.process.stdout is not None
        assert client.process.stdout.read() == pcm
        assert client.ends() == 0


class TestStatsFile:
    def test_that_cannot_be_written(self, stage: Stage) -> None:
        line = complaint(stage.server("--stats", "nowhere/x", ready=False, stats=False), 2)
        assert "nowhere/x" in line

    def test_that_exists(self, stage: Stage) -> None:
        (stage.folder / "x").write_text("precious")
        line = complaint(stage.client("--stats", "x", stats=False), 2)
        assert "--overwrite" in line
        assert (stage.folder / "x").read_text() == "precious"


def test_a_killed_client_leaves_a_valid_recording(stage: Stage) -> None:
    """SIGKILL: the header is at most a second behind."""
    pcm = speech_wav(stage.folder / "in.wav", 6)
    sink = stage.folder / "got.wav"
    stage.server(source="in.wav")
    client = stage.client(sink="got.wav")
    has_recorded(sink, 2.4)
    client.kill()
    size = os.path.getsize(sink) - 80
    _, _, got = read_pcm(sink)
    assert size - len(got) <= 192_000
    assert len(got) >= 2 * 192_000
    assert got == pcm[: len(got)]
