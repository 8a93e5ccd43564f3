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
