"""Streams that say that they are silent: faded, never concealed, and on time again."""

from __future__ import annotations

from array import array
from itertools import pairwise

import pytest

from echowarp.media.format import Format
from echowarp.media.pull_line import PullLine
from echowarp.media.pulled_playout import PulledPlayout, State

FMT = Format(rate=48_000, channels=1, block_frames=240)
MS = 1_000_000
S = 1_000 * MS
TARGET_NS = 40 * MS
LOUD = b"\x00\x20" * 240


WORDS = "x" * 40 + "." * 60 + "x" * 40 + "."


class Spoken:
    """A stream of 5 ms blocks that come as they are sent, and a card that is even.

    words: for each block time whether somebody speaks. Where it falls silent a block
    without payload is sent, and then one each `repeat`.
    """

    def __init__(
        self, words: str, *, repeat: int = 200, lost: frozenset[int] = frozenset()
    ) -> None:
        self.out = bytearray()
        self.line = PullLine(FMT)
        self.playout = PulledPlayout(
            FMT,
            first_seq=0,
            first_time=0,
            target_ns=TARGET_NS,
            line=self.line,
            now_ns=0,
            fixed=True,
        )
        seq, silent = 0, 0
        for k in range(len(words) + 20):
            if k < len(words):
                silent = 0 if words[k] == "x" else silent + 1
                if silent % repeat <= 1 and (not silent or silent % repeat == 1):
                    if seq not in lost:
                        payload = b"" if silent else LOUD
                        self.playout.put(seq, k * 240, payload, k * 5 * MS, by_itself=True)
                    seq += 1
            self.pull(k)

    def pull(self, k: int) -> None:
        self.out += self.playout.pull(240, k * 5 * MS)
        self.line.pulled(240, k * 5 * MS)

    @property
    def heard(self) -> str:
        """By block time from the target on: whether all of it, nothing or some is loud."""
        blocks = [self.out[at : at + 480] for at in range(8 * 480, len(self.out), 480)]
        return "".join("x" if block == LOUD else "." if not any(block) else "~" for block in blocks)

    @property
    def steepest(self) -> int:
        return max(abs(a - b) for a, b in pairwise(array("h", bytes(self.out))))


def test_words_are_heard_in_their_time() -> None:
    spoken = Spoken(WORDS)
    assert spoken.heard[:140] == "~" + "x" * 39 + "~" + "." * 59 + "~" + "x" * 39
    assert spoken.playout.counters.concealed == 0
    assert spoken.steepest < 150


def test_a_silence_shorter_than_the_delay_keeps_its_length_too() -> None:
    spoken = Spoken("x" * 40 + "." * 3 + "x" * 40 + "." + "x" * 40 + ".")
    assert spoken.heard[:124] == "~" + "x" * 39 + "~..~" + "x" * 39 + "~~" + "x" * 39
    assert spoken.playout.counters.concealed == 0


def test_silence_goes_on_for_as_long_as_it_is_said_to() -> None:
    spoken = Spoken("x" * 40 + "." * 1000, repeat=200)
    assert spoken.heard[41:1000].strip(".") == ""
    assert spoken.playout.silent
    assert spoken.playout.state is State.FILLING
    assert spoken.playout.counters.concealed == 0
    assert spoken.playout.counters.received == 45


def test_what_is_silent_need_not_be_pulled() -> None:
    spoken = Spoken("x" * 40 + "." * 100)
    assert spoken.playout.silent
    for k in range(160, 300):
        spoken.line.pulled(240, k * 5 * MS)
    spoken.playout.put(41, 300 * 240, LOUD, 300 * 5 * MS, by_itself=True)
    assert not spoken.playout.silent
    spoken.out.clear()
    for k in range(300, 311):
        spoken.pull(k)
    first = next(n for n, value in enumerate(array("h", bytes(spoken.out))) if value)
    assert first == pytest.approx(8 * 240, abs=2)


def test_a_first_word_after_silence() -> None:
    spoken = Spoken("." * 100 + "x" * 40 + ".")
    assert spoken.heard[:140] == "." * 100 + "~" + "x" * 39
    assert spoken.playout.counters.concealed == 0


def test_the_end_of_a_silent_stream_finishes_it() -> None:
    spoken = Spoken("x" * 40 + "." * 100)
    spoken.playout.end(41)
    assert not spoken.playout.silent
    spoken.pull(160)
    assert spoken.playout.state is State.FINISHED and spoken.playout.silent


def test_losses_around_a_silence() -> None:
    """The last block of a word, the first of the next, and the one that says silence."""
    spoken = Spoken(WORDS, lost=frozenset({39}))
    assert spoken.heard[:39] == "~" + "x" * 38 and spoken.heard[41:100] == "." * 59
    assert spoken.heard[101:140] == "x" * 39
    assert spoken.playout.counters.concealed == 1
    spoken = Spoken(WORDS, lost=frozenset({41}))
    assert spoken.heard[102:140] == "x" * 38
    spoken = Spoken(WORDS, lost=frozenset({40}))
    assert spoken.heard[102:140] == "x" * 38
    assert spoken.heard[51:99].strip(".") == "", "concealment falls silent by itself"


LONG = "x" * 40 + "." * 2000 + "x" * 40 + "."
"""A silence of ten seconds, which is repeated each second."""


@pytest.mark.parametrize("lost", [(), (45,), (41, 42), (49,)], ids=str)
def test_after_ten_seconds_of_silence_the_next_word_is_heard_in_its_time(
    lost: tuple[int, ...],
) -> None:
    """Also where what repeats the silence is lost: blocks 41 to 49."""
    spoken = Spoken(LONG, lost=frozenset(lost))
    assert spoken.heard[:41] == "~" + "x" * 39 + "~"
    assert spoken.heard[41:2040].strip(".") == ""
    assert spoken.heard[2040:2080] == "~" + "x" * 39
    spoken.playout.finish()
    counters = spoken.playout.counters
    assert (counters.received, counters.late) == (91 - len(lost), 0)
    assert (counters.concealed, counters.lost) == (len(lost), len(lost))


def test_a_word_that_is_lost_around_its_silence_on_both_sides() -> None:
    spoken = Spoken(WORDS, lost=frozenset({38, 39, 41, 42}))
    assert spoken.heard[:38] == "~" + "x" * 37
    assert spoken.heard[42:100].strip(".") == ""
    assert spoken.heard[103:140] == "x" * 37
    assert spoken.playout.counters.concealed == 4
    assert spoken.steepest < 2_000


class Late(Spoken):
    """Nothing comes by itself: the test puts what it wants and pulls."""

    def __init__(self) -> None:
        super().__init__("")
        self.out.clear()

    def put(self, seq: int, time: int, payload: bytes, k: int) -> None:
        self.playout.put(seq, time, payload, k * 5 * MS, by_itself=True)

    def sounds_from(self) -> int:
        """The first frame that is not silent."""
        return next(n for n, value in enumerate(array("h", bytes(self.out))) if value)


def test_a_first_word_keeps_the_delay_though_silence_came_with_it() -> None:
    spoken = Late()
    spoken.put(0, 0, b"", 20)
    spoken.put(1, 240, LOUD, 20)
    for k in range(20, 40):
        spoken.pull(k)
    assert spoken.sounds_from() == pytest.approx(8 * 240, abs=2)


def test_a_silence_that_ends_as_it_is_repeated_is_followed_at_the_full_delay() -> None:
    """The source has stood still, and so has its time."""
    spoken = Late()
    spoken.put(0, 0, LOUD, 20)
    spoken.put(1, 240, b"", 21)
    for k in range(20, 100):
        spoken.pull(k)
    assert spoken.playout.silent
    spoken.put(2, 240, b"", 100)
    for seq in range(3, 20):
        spoken.put(seq, (seq - 2) * 240, LOUD, 97 + seq)
    spoken.out.clear()
    for k in range(100, 120):
        spoken.pull(k)
    assert spoken.sounds_from() == pytest.approx(8 * 240, abs=2)


def test_silence_that_comes_late_ends_what_was_concealed_for_it() -> None:
    spoken = Late()
    for seq in range(20):
        spoken.put(seq, seq * 240, LOUD, 20 + seq)
    # All is played by 20 + 8 + 20; three blocks are waited for.
    for k in range(20, 51):
        spoken.pull(k)
    spoken.put(20, 20 * 240, b"", 51)
    for k in range(51, 80):
        spoken.pull(k)
    assert spoken.playout.silent
    assert spoken.playout.counters.concealed == 3
    assert spoken.playout.counters.received == 21
    spoken.put(21, 60 * 240, LOUD, 80)
    spoken.out.clear()
    for k in range(80, 100):
        spoken.pull(k)
    assert spoken.sounds_from() == pytest.approx(8 * 240, abs=2)
    assert spoken.playout.counters.concealed == 3


def test_a_pause_that_takes_no_time_is_not_heard() -> None:
    """The next block is here already, and follows on the last one."""
    spoken = Late()
    for seq in range(40):
        payload = b"" if seq == 10 else LOUD
        spoken.put(seq, (seq - (seq > 10)) * 240, payload, 20 + seq)
        spoken.pull(20 + seq)
    loud = bytes(spoken.out[9 * 480 :])
    assert loud and loud == LOUD * (len(loud) // 480)
