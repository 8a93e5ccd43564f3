"""Sound cards that go while they are in use, and come back: nobody has to start anew."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.processes import Program, Stage, wait_until
from tests.pulse import PID, pactl, plug_in, private_pulse, run_daemon, unplug
from tests.tones import channel_of, sine_fit, tone

RATE, HZ = 48_000, 440.0
CLEAN_DB = 40.0
WINDOW = RATE // 20
CYCLES = 1200
"""Frames of eleven whole cycles: joined, they are a tone without a seam."""


@pytest.fixture
def own_pulse() -> Iterator[dict[str, str]]:
    """A sound server that the test may take apart."""
    with private_pulse() as env:
        yield env


def hears_tone(pcm: bytes) -> bool:
    """Whether the end of that sound is a clean tone, at the level at which it is sent."""
    samples = channel_of(pcm[-4 * WINDOW :], 0, 2)
    if len(samples) < WINDOW or not any(samples):
        return False
    snr_db, _ = sine_fit(samples, 2 * math.pi * HZ / RATE)
    return snr_db > CLEAN_DB and max(samples) == pytest.approx(32768 * 10 ** (-12 / 20), rel=0.02)


@contextlib.contextmanager
def played(env: dict[str, str], sink: str, folder: Path) -> Iterator[None]:
    """Plays a tone into a sink."""
    sound = folder / "tone.raw"
    amplitude = 10 ** (-12 / 20) * 32768 / 32767
    sound.write_bytes(tone(CYCLES, HZ, RATE, amplitude=amplitude, channels=2) * 40 * 60)
    format = ["--raw", "--format=s16le", f"--rate={RATE}", "--channels=2"]
    with subprocess.Popen(
        ["pacat", "--playback", f"--device={sink}", *format, str(sound)], env=env
    ) as player:
        try:
            yield
        finally:
            player.kill()


def wait_for_tone(env: dict[str, str], sink: str, folder: Path) -> None:
    """Returns when a tone comes out of that sink."""
    heard = folder / f"{sink}.raw"
    format = ["--raw", "--format=s16le", f"--rate={RATE}", "--channels=2", "--latency-msec=20"]
    with (
        heard.open("wb") as out,
        subprocess.Popen(
            ["pacat", "--record", f"--device={sink}.monitor", *format], env=env, stdout=out
        ) as recorder,
    ):
        try:
            wait_until(lambda: hears_tone(whole_frames(heard)), f"a tone comes out of {sink}")
        finally:
            recorder.kill()


def whole_frames(path: Path) -> bytes:
    pcm = path.read_bytes()
    return pcm[: len(pcm) // 4 * 4]


def state(program: Program) -> object:
    return program.stats[-1]["state"] if program.stats else None


def is_away(program: Program) -> bool:
    return state(program) == "no device"


def level_db(program: Program) -> float:
    level: float | None = program.stream.get("level_db")
    return -96.0 if level is None else level


def assert_said_once(program: Program, device: str) -> None:
    said = [line for line in program.said.splitlines() if not line.startswith("Expression")]
    assert len([line for line in said if "waiting for it" in line]) == 1, program.said
    assert len([line for line in said if "is back" in line]) == 1, program.said
    assert device in program.said


def test_an_output(stage: Stage, own_pulse: dict[str, str], tmp_path: Path) -> None:
    stage.server()
    client = stage.client("--device", "spk", sink="device", environment=own_pulse)
    wait_for_tone(own_pulse, "play", tmp_path)
    unplug(own_pulse, "play")
    client.says("'spk' (ALSA) has gone: unplugged, or its server ended; waiting for it")
    wait_until(lambda: is_away(client), "the state says so")
    concealed = client.stream["concealed"]
    plug_in(own_pulse, "play")
    client.says("'spk' (ALSA) is back")
    wait_for_tone(own_pulse, "play", tmp_path)
    wait_until(lambda: state(client) == "playing", "the state says so")
    wait_until(
        lambda: client.stream["delay_ms"] < client.stream["target_ms"] + 60,
        "the delay is the target again",
    )
    assert client.leave() == 0
    assert_said_once(client, "'spk' (ALSA)")
    assert client.stream["lost"] == 0
    assert client.stream["concealed"] < concealed + 200, "what came was played, not kept"


def test_an_input(stage: Stage, own_pulse: dict[str, str], tmp_path: Path) -> None:
    """The recording keeps its time, silence included."""
    server = stage.server("--device", "mic", source="device", environment=own_pulse)
    client = stage.client(sink=tmp_path / "r.wav")
    with played(own_pulse, "cap", tmp_path):
        wait_until(lambda: level_db(client) > -20, "the tone is recorded")
        unplug(own_pulse, "cap")
        server.says("waiting for it")
        wait_until(lambda: is_away(server), "the state says so")
        wait_until(lambda: level_db(client) < -90, "silence is recorded")
    began, received = time.monotonic(), client.stream["received"]
    wait_until(lambda: client.stream["received"] >= received + 200, "it goes on")
    assert 0.5 < time.monotonic() - began < 3.0, "at its pace"
    plug_in(own_pulse, "cap")
    server.says("is back")
    with played(own_pulse, "cap", tmp_path):
        wait_until(lambda: level_db(client) > -20, "the tone is recorded again")
        assert server.running
        assert client.leave() == 0
    assert hears_tone((tmp_path / "r.wav").read_bytes())
    assert client.stream["lost"] == 0
    assert_said_once(server, "gone")
    assert server.leave() == 0


def test_a_sound_server_killed_and_started_again(
    stage: Stage, own_pulse: dict[str, str], tmp_path: Path
) -> None:
    server = stage.server("--device", "mic", source="device", environment=own_pulse)
    client = stage.client("--device", "spk", sink="device", environment=own_pulse)
    client.says("stream:")
    wait_until(lambda: state(client) == "playing", "it plays")
    os.kill(int(own_pulse[PID]), signal.SIGKILL)
    for program in (server, client):
        program.says("waiting for it")
        wait_until(partial(is_away, program), "the state says so")
    with run_daemon(own_pulse), played(own_pulse, "cap", tmp_path):
        server.says("'mic' (ALSA) is back")
        client.says("'spk' (ALSA) is back")
        wait_for_tone(own_pulse, "play", tmp_path)
        assert client.leave() == 0
        assert server.leave() == 0
    assert_said_once(client, "'spk' (ALSA)")
    assert_said_once(server, "'mic' (ALSA)")


def test_the_end_while_a_device_is_away(
    stage: Stage, own_pulse: dict[str, str], tmp_path: Path
) -> None:
    server = stage.server("--device", "mic", source="device", environment=own_pulse)
    client = stage.client("--device", "spk", sink="device", environment=own_pulse)
    wait_until(lambda: state(client) == "playing", "it plays")
    os.kill(int(own_pulse[PID]), signal.SIGKILL)
    for program in (client, server):
        program.says("waiting for it")
        assert program.leave() == 0


def test_a_default_output_is_followed(
    stage: Stage, own_pulse: dict[str, str], tmp_path: Path
) -> None:
    stage.server()
    client = stage.client("--follow_default", sink="device", environment=own_pulse)
    wait_for_tone(own_pulse, "play", tmp_path)
    pactl(own_pulse, "set-default-sink", "cap")
    wait_for_tone(own_pulse, "cap", tmp_path)
    assert client.leave() == 0


def test_what_the_default_output_plays_is_followed(
    stage: Stage, own_pulse: dict[str, str], tmp_path: Path
) -> None:
    server = stage.server("-o", "--follow_default", source="device", environment=own_pulse)
    client = stage.client()
    with played(own_pulse, "cap", tmp_path):
        client.says("stream:")
        wait_until(lambda: client.stream.get("received", 0) > 100, "sound comes")
        assert level_db(client) < -90
        pactl(own_pulse, "set-default-sink", "cap")
        server.says("the default device is now cap.monitor: following it")
        server.says("going on with device")
        wait_until(lambda: level_db(client) > -20, "what the other plays is heard")
    assert server.leave() == 0


def test_another_microphone_is_not_captured_in_its_place(
    stage: Stage, own_pulse: dict[str, str], tmp_path: Path
) -> None:
    """A sound server hands it out when the one that was asked for goes."""
    server = stage.server("--device", "tap", source="device", environment=own_pulse)
    client = stage.client(sink=tmp_path / "r.wav")
    with played(own_pulse, "cap", tmp_path):
        wait_until(lambda: client.stream.get("received", 0) > 100, "sound comes")
        unplug(own_pulse, "play")
        server.says("waiting for it")
        received = client.stream["received"]
        wait_until(lambda: client.stream["received"] > received + 200, "it goes on")
        assert level_db(client) < -90
        assert is_away(server)
    assert server.leave() == 0


def test_following_needs_a_default_device(stage: Stage) -> None:
    refused = stage.server("--follow_default", source="tone", ready=False, stats=False)
    assert refused.ends() == 2
    assert len(refused.said.splitlines()) == 1
    assert "--follow_default needs a device" in refused.said
