"""Counters unwrapped, absurd ones refused, and the same stream told from another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from echowarp.errors import ProtocolError
from echowarp.session.streams import StreamTracker, begin, format_of, resume
from echowarp.wire.records import Stream

STREAM = Stream(
    stream=0,
    codec=0,
    rate=48_000,
    channels=2,
    block=240,
    seq=2**32 - 3,
    time=2**32 - 500,
    user=0,
)
SECOND_NS = 10**9
BLOCK_NS = 5_000_000


def place(tracker: StreamTracker, k: int, now_ns: int, *, size: int = 960, skew: int = 0):  # type: ignore[no-untyped-def]
    seq = (STREAM.seq + k) % 2**32
    time = (STREAM.time + k * 240 + skew) % 2**32
    return tracker.place(seq, time, size, now_ns)


def test_counters_go_on_past_the_wrap() -> None:
    tracker = begin(STREAM, 0)
    for k in range(2000):
        assert place(tracker, k, k * BLOCK_NS) == (STREAM.seq + k, STREAM.time + k * 240)


def test_two_seconds_ahead_is_the_limit() -> None:
    tracker = begin(STREAM, 0)
    assert place(tracker, 401, 0) is None
    assert place(tracker, 400, 0) is not None


def test_what_lies_ahead_grows_with_the_time_that_has_passed() -> None:
    tracker = begin(STREAM, 0)
    assert place(tracker, 0, 0) is not None
    assert place(tracker, 2400, 9 * SECOND_NS) is None
    assert place(tracker, 2400, 10 * SECOND_NS) is not None


def test_one_second_behind_is_the_limit() -> None:
    tracker = begin(STREAM, 0)
    for k in range(0, 601, 200):
        assert place(tracker, k, k * BLOCK_NS) is not None
    assert place(tracker, 399, 3 * SECOND_NS) is None
    assert place(tracker, 400, 3 * SECOND_NS) is not None


def test_nothing_comes_before_the_announced_block() -> None:
    tracker = begin(STREAM, 0)
    assert place(tracker, -1, 0) is None


def test_a_time_that_does_not_fit_its_number_is_refused() -> None:
    tracker = begin(STREAM, 0)
    assert place(tracker, 1, BLOCK_NS, skew=48_000 * 3) is None
    assert place(tracker, 1, BLOCK_NS, skew=48_000) is not None


@pytest.mark.parametrize("size", [1, 959, 964, 1187])
def test_payloads_of_broken_frames_or_more_than_a_block_are_refused(size: int) -> None:
    assert place(begin(STREAM, 0), 0, 0, size=size) is None


@pytest.mark.parametrize("size", [0, 4, 960])
def test_empty_short_and_full_payloads_are_taken(size: int) -> None:
    assert place(begin(STREAM, 0), 0, 0, size=size) is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {"codec": 1},
        {"rate": 7_999},
        {"rate": 192_001},
        {"channels": 0},
        {"channels": 9},
        {"block": 0},
        {"block": 297},
    ],
)
def test_formats_that_cannot_be_played_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ProtocolError):
        format_of(replace(STREAM, **wrong))


def test_jitter_is_that_of_rfc_3550() -> None:
    tracker = begin(STREAM, 0)
    place(tracker, 0, 0)
    place(tracker, 1, BLOCK_NS + 1_600_000)
    assert tracker.jitter_ns == pytest.approx(100_000)


def played(blocks: int) -> StreamTracker:
    tracker = begin(STREAM, 0)
    for k in range(blocks):
        place(tracker, k, k * BLOCK_NS)
    return tracker


def later(k: int, *, skew: int = 0) -> Stream:
    seq = (STREAM.seq + k) % 2**32
    return replace(STREAM, seq=seq, time=(STREAM.time + k * 240 + skew) % 2**32)


def test_the_same_stream_is_known_after_a_lost_connection() -> None:
    tracker = resume(later(5000), played(1000), 25 * SECOND_NS)
    assert tracker is not None
    assert tracker.first_seq == STREAM.seq + 5000
    assert place(tracker, 5000, 25 * SECOND_NS) == (STREAM.seq + 5000, STREAM.time + 5000 * 240)


def test_a_source_that_stood_still_is_the_same_stream() -> None:
    assert resume(later(1000), played(1000), 60 * SECOND_NS) is not None


@pytest.mark.parametrize(
    ("stream", "now_s"),
    [
        (later(10_000), 10),
        (later(900), 10),
        (later(2000, skew=48_000 * 3), 10),
        (replace(later(2000), seq=12345), 10),
        (replace(later(2000), rate=44_100), 10),
        (replace(later(2000), channels=1), 10),
        (replace(later(2000), block=120), 10),
    ],
    ids=["too far", "backwards", "other time", "other seq", "rate", "channels", "block"],
)
def test_another_stream_is_told_apart(stream: Stream, now_s: int) -> None:
    assert resume(stream, played(1000), now_s * SECOND_NS) is None
