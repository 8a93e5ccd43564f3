"""Rooms and intercoms, with real processes: each hears exactly the others."""

from __future__ import annotations

import subprocess
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.app.sounds import recorded_bytes
from tests.app.test_calls import say, talker
from tests.processes import Program, Stage, wait_until
from tests.recordings import read_pcm, speech_wav

Samples = npt.NDArray[np.int16]
RATE, CHANNELS = 8_000, 8
"""As many channels as talkers, each with its own: so a mix can be taken apart again."""
PIECE = 400
"""50 ms."""
QUIET = 100
"""Below this level of a piece, the rounding of samples would count too much."""
BEFORE_S, SOUND_S = 4.0, 2.0
MIX = ("--sample_rate", str(RATE), "--channels", str(CHANNELS), "--block_ms", "9")
"""The largest blocks that fit a packet: many processes share the machine."""


def own_channel(path: Path, channel: int) -> Samples:
    """Writes a sound that is in one channel, after a silence in which all come."""
    pcm = speech_wav(path, SOUND_S, rate=RATE, channels=CHANNELS)
    samples = np.frombuffer(pcm, "<i2").reshape(-1, CHANNELS)[:, channel].astype(float)
    # Without high tones: it is looked for between its samples too.
    written: Samples = np.convolve(samples, np.hanning(9) / 4, "same").round().astype("<i2")
    frames = np.zeros((int(BEFORE_S * RATE) + len(written), CHANNELS), "<i2")
    frames[-len(written) :, channel] = written
    with wave.open(str(path), "wb") as file:
        file.setparams((CHANNELS, 2, RATE, 0, "NONE", ""))
        file.writeframes(frames.tobytes())
    return written


def heard(path: Path) -> Samples:
    """What a recording has in each channel."""
    rate, channels, pcm = read_pcm(path)
    assert (rate, channels) == (RATE, CHANNELS)
    channels_apart: Samples = np.frombuffer(pcm, "<i2").reshape(-1, CHANNELS).T
    return channels_apart


def difference_db(got: Samples, said: Samples) -> float:
    """What of a sound is not as it was said, at its worst, in dB below the sound. Each
    listener follows each talker's clock, so a sample is found within a fraction of one of
    where it is looked for, piece by piece, and nothing may be between the pieces."""
    sounding = np.flatnonzero(got)
    assert sounding[-1] - sounding[0] < len(said) + 40
    begins = sounding[0] - np.flatnonzero(said)[0]
    _, at = found_at(got, said[: 5 * PIECE], 0, np.arange(begins - 30, begins + 30, 0.25))
    worst = -200.0
    for first in range(0, len(said) - PIECE, PIECE):
        piece = said[first : first + PIECE]
        off, _ = found_at(got, piece, first, np.arange(at - 0.75, at + 0.75, 0.05))
        power = max(float(np.sum(piece.astype(float) ** 2)), QUIET**2 * PIECE)
        worst = max(worst, 10 * np.log10(off / power + 1e-20))
    return worst


def found_at(
    got: Samples, piece: Samples, first: int, lags: npt.NDArray[np.float64]
) -> tuple[float, float]:
    """The least squared difference of a piece, which begins at `first`, to what is heard so
    many samples later, and how many."""
    places, wanted = np.arange(len(got)), np.arange(first, first + len(piece))
    found = ((np.interp(wanted + lag, places, got), lag) for lag in lags)
    return min((float(np.sum((heard - piece) ** 2)), float(lag)) for heard, lag in found)


def member(stage: Stage, n: int, *arguments: str, room: str = "hall", **options: object) -> Program:
    """A client that is in a room, and records what it hears."""
    options = {"source": f"{n}.wav", "sink": f"heard-{n}.wav", **options}
    return talker(stage, f"user{n}", "--room", room, *MIX, *arguments, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("people", "code"), [(3, None), (3, "four words"), (8, None)], ids=["3", "3 end to end", "8"]
)
def test_each_hears_exactly_the_others(stage: Stage, people: int, code: str | None) -> None:
    """From the first sample to the last, and not itself."""
    environment = {} if code is None else {"ECHOWARP_E2E": code}
    said = [own_channel(stage.folder / f"{n}.wav", n) for n in range(people)]
    stage.server("--ssl", source="none")
    members = [member(stage, n, "--latency", "800", environment=environment) for n in range(people)]
    for each in members:
        wait_until(
            lambda m=each: bool(m.stats) and len(m.stats[-1]["people"]) == people - 1,  # type: ignore[misc]
            "all are there",
        )
    frame_bytes = 2 * CHANNELS
    whole = int((BEFORE_S + SOUND_S + 3.5) * RATE) * frame_bytes
    for n in range(people):
        wait_until(
            lambda n=n: recorded_bytes(stage.folder / f"heard-{n}.wav") > whole,  # type: ignore[misc]
            f"{n} has heard all",
            patience_s=30,
        )
    for each in members:
        assert each.leave() == 0
    for n in range(people):
        for k, got in enumerate(heard(stage.folder / f"heard-{n}.wav")):
            if k == n or k >= people:
                assert not np.any(got), (n, k)
            else:
                assert difference_db(got, said[k]) < -25, (n, k)


TONES = {"one": (440, 22_050, 1), "two": (600, 16_000, 2), "three": (800, 8_000, 1)}
"""What each says: Hz, and in which rate and channels; low ones, for each costs everybody."""
EAR_RATE = 24_000
TONE_AMPLITUDE = 0.25


def amplitude(samples: npt.NDArray[np.int16], hz: float, rate: int) -> float:
    """How loud a tone is in one channel, a share of full scale: piece by piece, for a
    listener follows the clock of each talker."""
    piece = rate // 10
    turns = np.exp(-2j * np.pi * hz / rate * np.arange(piece))
    pieces = samples[: len(samples) // piece * piece].reshape(-1, piece)
    return float(2 * np.sqrt(np.mean(np.abs(pieces @ turns / piece) ** 2)) / 32768)


def last_second(path: Path, rate: int, channels: int) -> Samples:
    """The end of a recording that is being written, channel by channel."""
    with path.open("rb") as file:
        file.seek(-rate * channels * 2 - recorded_bytes(path) % (channels * 2), 2)
        pcm = file.read(rate * channels * 2)
    frames: Samples = np.frombuffer(pcm, "<i2").reshape(-1, channels).T
    return frames


def hears_tones(path: Path, rate: int, channels: int, expected: dict[str, float]) -> bool:
    """Whether each channel holds these tones so loud, a share of how they were said, and
    the others not."""
    if recorded_bytes(path) < 2 * rate * channels * 2:
        return False
    for samples in last_second(path, rate, channels):
        for name, (hz, _, _) in TONES.items():
            level = amplitude(samples, hz, rate) / TONE_AMPLITUDE
            if abs(level - expected.get(name, 0.0)) > 0.1:
                return False
    return True


def hears(stage: Stage, name: str, rate: int = EAR_RATE, channels: int = 2, **tones: float) -> None:
    """Waits until the recording of that name ends with these tones."""
    path = stage.folder / f"{name}.wav"
    wait_until(lambda: hears_tones(path, rate, channels, tones), f"{name}: {tones}")


@pytest.mark.parametrize("code", [None, "four words"], ids=["plain", "end to end"])
def test_talkers_of_any_format_and_each_at_its_own_volume(stage: Stage, code: str | None) -> None:
    """Each hears the others' tones as loud as they are, in a mix of its own format, and
    itself not; who listens sets how loud each is."""
    environment = {} if code is None else {"ECHOWARP_E2E": code}
    stage.server(source="none")
    for name, (hz, rate, channels) in TONES.items():
        talker(
            *(stage, name, "--room", "hall"),
            *("--sample_rate", str(rate), "--channels", str(channels), "--latency", "400"),
            source=f"tone:{hz}",
            sink=f"{name}.wav",
            environment=environment,
        )
    ear = talker(
        *(stage, "ear", "--room", "hall", "--latency", "400", "--sample_rate", str(EAR_RATE)),
        source="none",
        sink="ear.wav",
        stdin=subprocess.PIPE,
        environment=environment,
    )
    hears(stage, "ear", one=1, two=1, three=1)
    for name, (_, rate, channels) in TONES.items():
        hears(stage, name, rate, channels, **{other: 1 for other in TONES if other != name})
    assert not any(s["talker"] == "ear" for s in ear.stats[-1]["streams"])
    say(ear, "/volume ONE 40")
    say(ear, "/mute two")
    hears(stage, "ear", one=0.4, three=1)
    say(ear, "/volume one 100")
    say(ear, "/unmute two")
    say(ear, "/volume three 900")
    ear.says("400")
    hears(stage, "ear", one=1, two=1, three=1)
    assert ear.leave() == 0


def test_a_talker_that_is_gone_in_mid_word(stage: Stage) -> None:
    """It is concealed for a moment and silent then; the others are heard as before."""
    stage.server(source="none")
    one, two, _ = (
        talker(
            *(stage, name, "--room", "hall", "--latency", "400", "--sample_rate", str(EAR_RATE)),
            source=f"tone:{hz}",
            sink=f"{name}.wav",
        )
        for name, (hz, _, _) in TONES.items()
    )
    hears(stage, "one", two=1, three=1)
    two.kill()
    hears(stage, "one", three=1)
    hears(stage, "three", one=1)
    one.says("the connection of two was lost")
    wait_until(lambda: any(each["away"] for each in one.stats[-1]["people"]), "it is told")
    again = talker(stage, "two", "--room", "hall", source="tone:600", sink="again.wav")
    again.says("called so already")
    assert again.ends() == 3
    wait_until(lambda: len(one.stats[-1]["people"]) == 1, "two has been waited for")
    talker(
        *(stage, "two", "--room", "hall", "--sample_rate", str(EAR_RATE)),
        source="tone:600",
        sink="again.wav",
    )
    hears(stage, "one", two=1, three=1)
    hears(stage, "three", one=1, two=1)


def test_one_with_another_code_is_told_and_not_heard(stage: Stage) -> None:
    """The others of the room go on."""
    stage.server(source="none")
    for name, (hz, _, _) in TONES.items():
        code = "wrong" if name == "three" else "right"
        program = talker(
            *(stage, name, "--room", "hall", "--latency", "400", "--sample_rate", str(EAR_RATE)),
            source=f"tone:{hz}",
            sink=f"{name}.wav",
            environment={"ECHOWARP_E2E": code},
        )
        program.says("in room hall")
    one, two, three = stage.programs[1:]
    one.says("three has another code")
    two.says("three has another code")
    three.says("one has another code")
    hears(stage, "one", two=1)
    hears(stage, "two", one=1)
    wait_until(lambda: one.stats[-1]["end_to_end"] == "wrong code", "it is told")
    assert three.leave() == 0
    assert not np.any(np.frombuffer(read_pcm(stage.folder / "three.wav")[2], "<i2"))


def test_from_room_to_room_and_into_a_call(stage: Stage) -> None:
    stage.server(source="none")
    anna = talker(stage, "anna", "--room", "hall", stdin=subprocess.PIPE)
    bob = talker(stage, "bob", "--room", "hall", "--auto_answer", stdin=subprocess.PIPE)
    bob.says("in room hall")
    anna.says("in room hall")

    def hears(program: Program, *names: str) -> None:
        wait_until(
            lambda: (
                bool(program.stats)
                and [s["talker"] for s in program.stats[-1]["streams"]]
                == [*names, program.stats[-1]["name"]]
            ),
            f"{program.name} hears {names}",
        )

    hears(anna, "bob")
    say(bob, "/room cellar")
    anna.says("bob has gone to room cellar")
    hears(anna)
    say(anna, "/call bob")
    anna.says("in a call with bob")
    hears(anna, "bob")
    say(anna, "/hangup")
    bob.says("hung up")
    hears(anna)
    say(anna, "/room cellar")
    hears(anna, "bob")
    say(anna, "/list")
    anna.says("bob, in cellar")
    say(anna, "/nonsense")
    anna.says("there is no command /nonsense")
    say(anna, "/quit")
    assert anna.ends() == 0


class TestIntercom:
    def test_who_listens_may_talk_back(self, stage: Stage) -> None:
        """What is said is played at the server, and heard by the other in its room."""
        stage.server("--talkback", "--room", "studio", "--sink", "talked.wav", source="tone:1000")
        anna = talker(
            *(stage, "anna", "--push_to_talk"),
            source="tone:440",
            sink="anna-hears.wav",
            stdin=subprocess.PIPE,
        )
        bob = talker(stage, "bob", source="none", sink="bob-hears.wav")
        for each in (anna, bob):
            each.says("in room studio")
        wait_until(lambda: bool(bob.stats) and bob.stats[-1]["streams"], "bob hears the server")
        say(anna, "/push")
        wait_until(
            lambda: any(
                s["talker"] == "anna" and s["level_db"] > -20 for s in bob.stats[-1]["streams"]
            ),
            "bob hears anna",
        )
        say(anna, "/release")
        wait_until(
            lambda: all(
                s["talker"] != "anna" or s["level_db"] < -90 for s in bob.stats[-1]["streams"]
            ),
            "anna has let go",
        )
        assert anna.leave() == 0
        assert bob.leave() == 0
        stage.programs[0].leave()
        _, _, pcm = read_pcm(stage.folder / "talked.wav")
        assert np.abs(np.frombuffer(pcm, "<i2")).max() > 4000
