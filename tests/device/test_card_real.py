"""Real PortAudio devices, before a private PulseAudio."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.machine import on_a_steady_machine
from tests.pulse import PID, private_pulse

RATE, FRAME_BYTES = 48000, 4


class Job:
    """One run of tests.device.cards."""

    def __init__(self, env: Mapping[str, str], *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.device.cards", *arguments],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def says(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self._process.communicate()[1]
        said: dict[str, Any] = json.loads(line)
        return said

    def finish(self, *, noise: str = "") -> dict[str, Any]:
        """The last line; on standard error only lines that begin with `noise` (the
        words of PortAudio itself, which it writes while a stream dies)."""
        out, err = self._process.communicate(timeout=30)
        assert self._process.returncode == 0
        assert [line for line in err.splitlines() if not noise or not line.startswith(noise)] == []
        said: dict[str, Any] = json.loads(out.splitlines()[-1])
        return said


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("noise") / "noise.raw"
    path.write_bytes(random.Random(3).randbytes(3 * RATE * FRAME_BYTES))
    return path


def assert_holds(recording: Path, played: Path) -> None:
    """The recording holds what was played, every sample of it, without a gap."""
    heard, wanted = recording.read_bytes(), played.read_bytes()
    start = heard.find(wanted[:64])
    assert start >= 0, "nothing of it was heard"
    assert start % FRAME_BYTES == 0
    got = heard[start : start + len(wanted)]
    if got != wanted:
        same = next(
            (n for n, (a, b) in enumerate(zip(got, wanted, strict=False)) if a != b), len(got)
        )
        raise AssertionError(f"differs after {same / FRAME_BYTES / RATE:.3f} s")


@pytest.mark.parametrize(
    ("options", "played_on", "seconds"),
    [
        ({"name": "mic"}, "feed", 3),
        ({"name": "TAP"}, "spk", 3),
        ({"loopback": True}, "spk", 1),
        ({"loopback": True, "name": "play"}, "spk", 1),
        ({"loopback": True, "name": "cap"}, "feed", 1),
    ],
)
def test_what_is_played_is_captured_bit_exact(
    pulse: dict[str, str],
    tmp_path: Path,
    noise: Path,
    options: dict[str, Any],
    played_on: str,
    seconds: int,
) -> None:
    recording, sound = tmp_path / "recording.raw", tmp_path / "sound.raw"
    sound.write_bytes(noise.read_bytes()[: seconds * RATE * FRAME_BYTES])

    def run(attempt: int) -> None:
        recorder = Job(pulse, "record", str(recording), json.dumps(options), str(seconds + 1.2))
        assert recorder.says() == {"opened": True, "rate": 48000, "channels": 2}
        player = Job(pulse, "play", str(sound), played_on)
        played, recorded = player.finish(), recorder.finish()
        assert played["error"] is None
        assert 0 < played["delay_ms"] < 100
        assert played["stop_s"] < 1
        assert played["threads"] == 1
        assert recorded["error"] is None
        assert recorded["sizes"] == [960]
        assert recorded["lost_frames"] == 0
        assert recorded["stop_s"] < 1
        assert recorded["threads"] == 1
        assert abs(recorded["span_s"] - recorded["blocks"] * 0.005) < 0.05
        assert_holds(recording, sound)

    on_a_steady_machine(run)


def test_format_asked_for_is_given(pulse: dict[str, str], tmp_path: Path) -> None:
    options = json.dumps({"name": "mic", "rate": 16000, "channels": 1, "block_ms": 10})
    recorder = Job(pulse, "record", str(tmp_path / "r"), options, "0.5")
    assert recorder.says() == {"opened": True, "rate": 16000, "channels": 1}
    assert recorder.finish()["sizes"] == [320]


def test_list(pulse: dict[str, str]) -> None:
    said = Job(pulse, "list").finish()
    names = {device["name"] for device in said["devices"]}
    assert {"mic", "feed", "spk", "tap", "pulse", "default"} <= names
    assert [d["name"] for d in said["devices"] if d["is_default_input"]] == ["default"]
    assert "default input, default output" in said["table"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "nosuch"}, ["no input device has 'nosuch'", "'mic' (ALSA)"]),
        ({"device_id": 99}, ["there is no device 99"]),
        ({"loopback": True, "name": "nosuch"}, ["no output has 'nosuch'", "(play)"]),
        ({"loopback": True, "name": "Null"}, ["ambiguous", "(cap)", "(play)"]),
    ],
)
def test_refusals(
    pulse: dict[str, str], tmp_path: Path, options: dict[str, Any], words: list[str]
) -> None:
    refused = Job(pulse, "record", str(tmp_path / "r"), json.dumps(options), "1").finish()
    assert "\n" not in refused["refused"]
    for word in words:
        assert word in refused["refused"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_sound_server_that_dies_or_hangs_is_noticed(
    tmp_path: Path, noise: Path, how: signal.Signals
) -> None:
    long_noise = tmp_path / "long.raw"
    long_noise.write_bytes(noise.read_bytes() * 8)
    with private_pulse() as env:
        recorder = Job(env, "record", str(tmp_path / "r"), '{"name": "mic"}', "20")
        player = Job(env, "play", str(long_noise), "feed")
        recorder.says()
        player.says()
        time.sleep(0.5)
        os.kill(int(env[PID]), how)
        killed = time.monotonic()
        recorded, played = recorder.finish(noise="Expression"), player.finish(noise="Expression")
        assert time.monotonic() - killed < 5
    assert recorded["kind"] == played["kind"] == "DeviceError"
    assert "mic" in recorded["error"]
    assert "feed" in played["error"]
    assert recorded["ends"] == 1
    assert recorded["since_last_s"] < 3
    assert recorded["stop_s"] < 2
    assert played["stop_s"] < 2


def test_a_sound_server_that_is_not_there(tmp_path: Path) -> None:
    with private_pulse() as env:
        os.kill(int(env[PID]), signal.SIGKILL)
        options = '{"name": "mic"}'
        refused = Job(env, "record", str(tmp_path / "r"), options, "1").finish()
    assert "--list_devices" in refused["refused"] or "no audio devices" in refused["refused"]
