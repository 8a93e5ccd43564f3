"""The parts of the demo, and the demo as a person starts it."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
import wave
from array import array
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from echowarp.media.pcm import to_s16
from tests.demo import melody
from tests.demo.compare import Comparison, compare
from tests.demo.stats import last_stream, loudest_db, meter, read_lines, shown
from tests.demo.verdict import Run, percent, problems, summary
from tests.demo.wav import WavError, WavReader
from tests.processes import ROOT, free_port


def write_wav(path: Path, pcm: bytes, *, rate: int = 48_000, channels: int = 2) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm)
    return path


def run_of(**changes: Any) -> Run:
    good: dict[str, Any] = {
        "ended": True,
        "server_status": 0,
        "client_status": 0,
        "server_lines": [{"streams": [{"sent": 200}]}],
        "client_lines": [{"streams": [{"received": 200, "level_db": -20.0}]}, {"streams": []}],
        "comparison": Comparison(equal=200, blocks=200),
    }
    return Run(**(good | changes))


class TestMelody:
    def test_is_soft_not_silent_and_never_clips(self) -> None:
        samples = array("h", melody.render())
        assert len(samples) == 12 * 48_000 * 2
        assert 10_000 < max(map(abs, samples)) < 16_000
        for second in range(12):
            part = samples[second * 96_000 : (second + 1) * 96_000]
            assert sum(value * value for value in part) / len(part) > 500**2

    def test_is_stereo(self) -> None:
        samples = array("h", melody.render(2))
        assert samples[0::2] != samples[1::2]

    def test_has_no_click(self) -> None:
        samples = array("h", melody.render())
        for side in (samples[0::2], samples[1::2]):
            assert abs(side[0]) < 50
            assert abs(side[-1]) < 50
            assert max(abs(a - b) for a, b in pairwise(side)) < 3000

    def test_is_the_same_each_time(self, tmp_path: Path) -> None:
        melody.write(tmp_path / "a.wav", 0.5)
        melody.pluck.cache_clear()
        melody.write(tmp_path / "b.wav", 0.5)
        assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


class TestWavReader:
    def test_reads_what_the_standard_library_wrote(self, tmp_path: Path) -> None:
        pcm = melody.render(0.1)
        with WavReader(write_wav(tmp_path / "a.wav", pcm)) as reader:
            assert (reader.rate, reader.channels, reader.frames) == (48_000, 2, 4_800)
            assert b"".join(reader.blocks(241)) == pcm
            assert reader.read(1) == b""

    def test_reads_rf64_extensible_and_skips_other_chunks(self, tmp_path: Path) -> None:
        pcm = bytes(range(12))
        form = struct.pack("<HHIIHHHHI", 0xFFFE, 6, 96_000, 0, 12, 16, 22, 16, 0)
        form += struct.pack("<H14x", 1)
        data = b"RF64\xff\xff\xff\xffWAVE"
        data += b"ds64" + struct.pack("<IQQQI", 28, 0, len(pcm), 1, 0)
        data += b"fmt " + struct.pack("<I", len(form)) + form
        data += b"odd " + struct.pack("<I", 3) + b"abc\0"
        data += b"data\xff\xff\xff\xff" + pcm
        path = tmp_path / "a.wav"
        path.write_bytes(data)
        with WavReader(path) as reader:
            assert (reader.rate, reader.channels, reader.frames) == (96_000, 6, 1)
            assert reader.read(9) == pcm

    def test_converts_other_encodings_as_the_program_does(self, tmp_path: Path) -> None:
        floats = struct.pack("<4f", 0.0, 0.5, -0.25, 2.0)
        form = struct.pack("<HHIIHH", 3, 2, 8_000, 64_000, 8, 32)
        body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", 16)
        path = tmp_path / "a.wav"
        path.write_bytes(b"RIFF" + struct.pack("<I", len(body) + 16) + body + floats)
        with WavReader(path) as reader:
            assert reader.read(2) == to_s16(floats, reader.encoding)

    @pytest.mark.parametrize("cut_bytes", [0, 3, 12, 40, 45])
    def test_complains_about_a_file_cut_short(self, tmp_path: Path, cut_bytes: int) -> None:
        path = write_wav(tmp_path / "a.wav", melody.render(0.01))
        path.write_bytes(path.read_bytes()[:cut_bytes])
        with pytest.raises(WavError, match=r"a\.wav"), WavReader(path) as reader:
            reader.read(reader.frames)

    def test_complains_about_another_kind_of_file(self, tmp_path: Path) -> None:
        path = tmp_path / "a.wav"
        path.write_bytes(b"OggS" + bytes(100))
        with pytest.raises(WavError, match="not a WAV"):
            WavReader(path)


class TestCompare:
    """240 frames of stereo are a block of 960 bytes."""

    PCM = melody.render(0.5)[: 960 * 90 + 400]

    def compare(self, folder: Path, recorded: bytes, **options: int) -> Comparison:
        source = write_wav(folder / "source.wav", self.PCM)
        return compare(source, write_wav(folder / "received.wav", recorded, **options))

    def test_equal_files(self, tmp_path: Path) -> None:
        result = self.compare(tmp_path, self.PCM)
        assert result == Comparison(equal=91, blocks=91)
        assert result.share == 1

    def test_one_wrong_bit_costs_one_block(self, tmp_path: Path) -> None:
        wrong = bytearray(self.PCM)
        wrong[960 * 7] ^= 1
        assert self.compare(tmp_path, bytes(wrong)).equal == 90

    def test_a_missing_end_counts(self, tmp_path: Path) -> None:
        result = self.compare(tmp_path, self.PCM[: 960 * 45])
        assert result == Comparison(equal=45, blocks=91)

    def test_one_frame_too_few_at_the_start_leaves_nothing_equal(self, tmp_path: Path) -> None:
        assert self.compare(tmp_path, self.PCM[4:]).equal == 0

    def test_what_was_never_sent_counts(self, tmp_path: Path) -> None:
        result = self.compare(tmp_path, self.PCM + bytes(960 * 20))
        assert (result.equal, result.blocks) == (90, 111)

    def test_another_format_and_no_recording_are_results(self, tmp_path: Path) -> None:
        other = self.compare(tmp_path, self.PCM, rate=44_100)
        assert "44100 Hz" in other.problem
        assert other.share == 0
        missing = compare(tmp_path / "source.wav", tmp_path / "none.wav")
        assert "nothing" in missing.problem


class TestStats:
    def test_reads_only_complete_lines(self, tmp_path: Path) -> None:
        path = tmp_path / "stats"
        assert read_lines(path) == []
        path.write_text(json.dumps({"time": 1}) + "\n" + '{"time": ')
        assert read_lines(path) == [{"time": 1}]

    def test_a_line_that_is_no_object_is_an_error(self, tmp_path: Path) -> None:
        path = tmp_path / "stats"
        path.write_text("[]\n")
        with pytest.raises(ValueError, match="not an object"):
            read_lines(path)

    def test_the_last_stream_is_found_before_a_line_without_one(self) -> None:
        assert last_stream([{"streams": [{"sent": 1}]}, {"streams": []}, {}]) == {"sent": 1}
        assert last_stream([]) == {}

    def test_levels(self) -> None:
        lines = [{"streams": [{"level_db": level}]} for level in (None, -30.0, -12.0, -40.0)]
        assert loudest_db([*lines, {}]) == -12
        assert loudest_db([]) is None

    def test_the_meter_shows_what_is_there(self) -> None:
        line = {"time": 3, "state": "playing", "streams": [{"received": 9, "level_db": -30}]}
        assert meter(line) == (
            "  3.0 s  playing    [##########          ] received 9, lost -, delay -"
        )
        assert "[                    ]" in meter({})

    def test_a_delay_with_parts_is_shown_by_its_total(self) -> None:
        assert shown({"total": 41.26, "device": None}, " ms") == "41.3 ms"


class TestVerdict:
    def test_a_good_recording(self) -> None:
        assert problems(run_of()) == []

    def test_a_good_playback(self) -> None:
        assert problems(run_of(comparison=None)) == []

    @pytest.mark.parametrize(
        ("changes", "complaint"),
        [
            ({"server_status": 1}, "server ended with exit status 1"),
            ({"client_status": -9}, "client ended with exit status -9"),
            ({"ended": False}, "did not end"),
            ({"comparison": Comparison(equal=197, blocks=200)}, "98.5 %"),
            ({"comparison": Comparison(equal=0, blocks=0)}, "0 %"),
            ({"comparison": Comparison(equal=0, blocks=0, problem="nothing")}, "nothing"),
        ],
    )
    def test_what_speaks_against_a_recording(self, changes: dict[str, Any], complaint: str) -> None:
        (problem,) = problems(run_of(**changes))
        assert complaint in problem

    @pytest.mark.parametrize(
        ("received", "complaint"),
        [
            ({"received": 197, "level_db": -20.0}, "197 of 200"),
            ({"received": 200, "level_db": -90.0}, "silence"),
            ({"received": 200}, "silence"),
            ({"level_db": -20.0}, "statistics"),
        ],
    )
    def test_what_speaks_against_a_playback(self, received: dict[str, Any], complaint: str) -> None:
        (problem,) = problems(run_of(comparison=None, client_lines=[{"streams": [received]}]))
        assert complaint in problem

    def test_the_summary_names_every_figure(self) -> None:
        text = "\n".join(summary(run_of()))
        for word in ("sent ", "received", "lost", "late", "concealed", "delay", "bit-exact"):
            assert word in text

    def test_percent_is_never_rounded_up(self) -> None:
        assert percent(0.99999) == "99.99 %"
        assert percent(1.0) == "100 %"


def test_a_free_port_is_free() -> None:
    assert 1024 <= free_port() <= 65_535


def demo(*arguments: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.demo", *arguments],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(folder)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_the_demo_runs_and_the_sound_arrives(tmp_path: Path) -> None:
    source = write_wav(tmp_path / "in.wav", melody.render(3))
    out, err = (process := demo(str(source), folder=tmp_path)).communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert "The sound arrived." in out


def test_ctrl_c_ends_the_demo_cleanly(tmp_path: Path) -> None:
    process = demo(folder=tmp_path)
    time.sleep(4)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert out.endswith("Stopped.\n")
    assert "Traceback" not in err


def test_a_file_that_is_not_a_wav_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "in.wav").write_bytes(b"no")
    out, err = (process := demo(str(tmp_path / "in.wav"), folder=tmp_path)).communicate(timeout=30)
    assert process.returncode == 2
    assert len(err.splitlines()) == 1
    assert not out
    assert list(tmp_path.iterdir()) == [tmp_path / "in.wav"]
