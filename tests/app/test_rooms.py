"""Rooms and intercoms, with real processes: each hears exactly the others."""

from __future__ import annotations

import fcntl
import subprocess
import time
from collections.abc import Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.app.sounds import recorded_bytes
from tests.app.test_calls import PATIENT, hurried_server, say, talker
from tests.processes import Program, Stage, wait_until
from tests.recordings import read_pcm, speech_wav

Samples = npt.NDArray[np.int16]
RATE = 8_000
PIECE = 200
"""25 ms."""
QUIET = 100
"""Below this level of a piece, the rounding of samples would count too much."""
LEAD_S, SOUND_S = 0.2, 0.8


def own_channel(folder: Path, channel: int, channels: int) -> Samples:
    """A sound in one channel of raw PCM, so that a mix can be taken apart again: what it is."""
    path = folder / f"{channel}.wav"
    pcm = speech_wav(path, SOUND_S, rate=RATE, channels=channels)
    samples = np.frombuffer(pcm, "<i2").reshape(-1, channels)[:, channel].astype(float)
    # Without high tones: it is looked for between its samples too.
    said: Samples = np.convolve(samples, np.hanning(9) / 4, "same").round().astype("<i2")
    return said


def raw(said: Samples, channel: int, channels: int) -> bytes:
    """The frames that a talker is given to say."""
    frames = np.zeros((int(LEAD_S * RATE) + len(said), channels), "<i2")
    frames[-len(said) :, channel] = said
    return frames.tobytes()


def heard(path: Path, channels: int) -> Samples:
    """What a recording has in each channel."""
    rate, recorded, pcm = read_pcm(path)
    assert (rate, recorded) == (RATE, channels)
    channels_apart: Samples = np.frombuffer(pcm, "<i2").reshape(-1, channels).T
    return channels_apart


def difference_db(got: Samples, said: Samples) -> float:
    """What of a sound is not as it was said, at its worst, in dB below the sound. Each
    listener follows each talker's clock, so the pieces of a sound, each of which must be
    there, may be a little nearer to each other or farther apart than they were."""
    sounding = np.flatnonzero(got)
    assert sounding[-1] - sounding[0] < len(said) * 1.005 + 40, "nothing is between the pieces"
    begins = sounding[0] - np.flatnonzero(said)[0]
    _, at = found_at(got, said[: 10 * PIECE], 0, np.arange(begins - 30, begins + 30, 0.25))
    worst = -200.0
    for first in range(0, len(said) - PIECE, PIECE):
        piece = said[first : first + PIECE]
        off, lag = found_at(got, piece, first, np.arange(at - 1.5, at + 1.5, 0.1))
        power, least = float(np.sum(piece.astype(float) ** 2)), QUIET**2 * PIECE
        at = lag if power > least else at
        worst = max(worst, 10 * np.log10(off / max(power, least) + 1e-20))
    return worst


def found_at(
    got: Samples, piece: Samples, first: int, lags: npt.NDArray[np.float64]
) -> tuple[float, float]:
    """The least squared difference of a piece, which begins at `first`, to what is heard so
    many samples later, and how many."""
    begin = max(0, first + int(lags[0]) - 2)
    near = got[begin : first + len(piece) + int(lags[-1]) + 2].astype(float)
    places, wanted = np.arange(len(near)), np.arange(first - begin, first - begin + len(piece))
    found = ((np.interp(wanted + lag, places, near), lag) for lag in lags)
    return min((float(np.sum((heard - piece) ** 2)), float(lag)) for heard, lag in found)


def mix_of(channels: int) -> tuple[str, ...]:
    """The format of what is said and heard: the largest blocks, for many processes share the
    machine."""
    block_ms = 9 if channels > 6 else 10
    return ("--sample_rate", str(RATE), "--channels", str(channels), "--block_ms", str(block_ms))


def hears_all(program: Program, names: Set[str | None]) -> None:
    """Waits until a client has these streams and no others, its own among them."""
    wait_until(
        lambda: (
            bool(program.stats) and {s["talker"] for s in program.stats[-1]["streams"]} == names
        ),
        f"{program.name} hears {names}",
        patience_s=40,
    )


def feed(programs: Sequence[Program], sounds: Sequence[bytes]) -> None:
    """Has all of them say these, all at once, and no more. Their pipes hold it all, so that
    none runs dry on a busy machine."""

    def fill(program: Program, pcm: bytes) -> None:
        stdin = program.process.stdin
        assert stdin is not None
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            fcntl.fcntl(stdin, fcntl.F_SETPIPE_SZ, len(pcm))
        stdin.write(pcm)
        stdin.close()

    with ThreadPoolExecutor(len(programs)) as pool:
        list(pool.map(fill, programs, sounds))


@pytest.mark.xdist_group("takes all of the machine")
@pytest.mark.parametrize(
    ("people", "at_once", "code"),
    [(3, 3, None), (3, 3, "four words"), (8, 2, None)],
    ids=["3", "3 end to end", "8"],
)
def test_each_hears_exactly_the_others(
    stage: Stage, people: int, at_once: int, code: str | None
) -> None:
    """From the first sample to the last, and not itself. Of many, who together would take
    more of the machine than it has, some begin as others end."""
    environment = {} if code is None else {"ECHOWARP_E2E": code}
    said = [own_channel(stage.folder, n, people) for n in range(people)]
    stage.server("--ssl", source="none")
    members = [
        talker(
            stage,
            f"user{n}",
            *("--room", "hall", *mix_of(people), *PATIENT),
            source="-",
            sink=f"heard-{n}.wav",
            stdin=subprocess.PIPE,
            environment=environment,
        )
        for n in range(people)
    ]
    names = {f"user{n}" for n in range(people)}
    for each in members:
        hears_all(each, names)
    for first in range(0, people, at_once):
        turn = range(first, min(people, first + at_once))
        feed([members[n] for n in turn], [raw(said[n], n, people) for n in turn])
        time.sleep(LEAD_S + SOUND_S)
    for n, each in enumerate(members):
        hears_all(each, {f"user{n}"})
    for each in members:
        assert each.leave() == 0
    for n in range(people):
        for k, got in enumerate(heard(stage.folder / f"heard-{n}.wav", people)):
            if k == n:
                assert not np.any(got), n
            else:
                assert difference_db(got, said[k]) < -15, (n, k)


def test_one_who_talks_in_a_room_is_heard_bit_by_bit(stage: Stage) -> None:
    """At volume 100, in the mix's own format."""
    stage.server("--ssl", source="none")
    options = ("--room", "hall", "--sample_rate", "48000", "--channels", "2")
    bob = talker(
        *(stage, "bob", *options),
        source="-",
        sink="null",
        stdin=subprocess.PIPE,
    )
    anna = talker(stage, "anna", *options, "--latency", "800", source="none", sink="heard.wav")
    hears_all(anna, {"bob"})
    pcm = speech_wav(stage.folder / "bob.wav", SOUND_S)
    feed([bob], [bytes(48_000) + pcm])
    hears_all(anna, set())
    assert anna.leave() == 0
    assert bob.leave() == 0
    got = read_pcm(stage.folder / "heard.wav")[2]
    assert got.strip(b"\0").startswith(pcm.strip(b"\0"))
    assert not any(got[got.index(pcm) + len(pcm) + 4 * 480 :]), "a short fall to silence"


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


def test_a_talker_that_is_gone_in_mid_word(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is concealed for a moment and silent then; the others are heard as before."""
    hurried_server(stage, monkeypatch, "roster", "KEPT_NS", 8)
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
    one.says("the connection of two was lost")
    again = talker(stage, "two", "--room", "hall", source="tone:600", sink="again.wav")
    wait_until(lambda: any(each["away"] for each in one.stats[-1]["people"]), "it is told")
    again.says("called so already")
    assert again.ends() == 3
    hears(stage, "one", three=1)
    hears(stage, "three", one=1)
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


def test_what_has_come_when_the_relay_leaves_is_heard(stage: Stage) -> None:
    """While it is waited for, what it has passed on is played to the last sample."""
    said = own_channel(stage.folder, 0, 2)
    relay = stage.server("--ssl", source="none")
    options = ("--room", "hall", *mix_of(2), *PATIENT)
    bob = talker(stage, "bob", *options, source="-", sink="null", stdin=subprocess.PIPE)
    anna = talker(stage, "anna", *options, source="none", sink="heard.wav")
    hears_all(anna, {"bob"})
    pcm = raw(said, 0, 2)
    assert bob.process.stdin is not None
    # It does not end: the relay leaves while it is waited for more.
    bob.process.stdin.write(pcm)
    bob.process.stdin.flush()
    blocks = len(pcm) // 4 // (RATE // 100)
    begun_s = time.monotonic()
    wait_until(lambda: anna.stream.get("received", 0) >= blocks, "all has come")
    assert relay.leave() == 0
    assert time.monotonic() - begun_s < LEAD_S + SOUND_S + 2, "before it was all heard"
    anna.says("trying again")
    path = stage.folder / "heard.wav"
    whole = recorded_bytes(path) + RATE * 4 * 4
    wait_until(lambda: recorded_bytes(path) >= whole, "it has been played")
    for each in (anna, bob):
        assert each.leave() == 0
    got, silent = heard(path, 2)
    assert difference_db(got, said) < -15
    assert not np.any(silent)


class TestIntercom:
    @pytest.mark.parametrize("latency", ["800", "2000"])
    def test_who_talks_hears_the_stream_to_its_end(self, stage: Stage, latency: str) -> None:
        """All that waits in its buffer is played, then it leaves."""
        said = own_channel(stage.folder, 0, 2)
        server = stage.server(
            *("--talkback", "--sink", "null", *mix_of(2)), source="-", stdin=subprocess.PIPE
        )
        words = (*mix_of(2), "--latency", latency)
        anna = talker(stage, "anna", *words, source="none", sink="heard.wav")
        anna.says("here as anna")
        feed([server], [bytes(4 * RATE) + raw(said, 0, 2)])
        assert (server.ends(), anna.ends()) == (0, 0)
        got = heard(stage.folder / "heard.wav", 2)[0]
        assert difference_db(got, said) < -15

    def test_who_listens_may_talk_back(self, stage: Stage) -> None:
        """What is said is played at the server, and heard by the other in its room beside
        what the server streams; each hears exactly what is not its own."""
        server_says, anna_says = (own_channel(stage.folder, n, 2) for n in range(2))
        words = ("--talkback", "--room", "studio", "--sink", "talked.wav", *mix_of(2), *PATIENT)
        server = stage.server(*words, source="-", stdin=subprocess.PIPE)
        anna = talker(
            stage,
            "anna",
            *mix_of(2),
            *PATIENT,
            source="-",
            sink="anna-hears.wav",
            stdin=subprocess.PIPE,
        )
        bob = talker(
            stage,
            "bob",
            *mix_of(2),
            *PATIENT,
            source="none",
            sink="bob-hears.wav",
        )
        hears_all(bob, {None, "anna"})
        hears_all(anna, {None, "anna"})
        feed([anna], [raw(anna_says, 1, 2)])
        hears_all(bob, {None})
        feed([server], [raw(server_says, 0, 2)])
        for each in (server, anna, bob):
            assert each.ends() == 0
        for name, expected in (
            ("anna-hears", (server_says, None)),
            ("bob-hears", (server_says, anna_says)),
            ("talked", (None, anna_says)),
        ):
            channels = heard(stage.folder / f"{name}.wav", 2)
            for got, said in zip(channels, expected, strict=True):
                if said is None:
                    assert not np.any(got), name
                else:
                    assert difference_db(got, said) < -15, name
