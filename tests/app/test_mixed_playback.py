"""Many talkers in one sink: each listener hears exactly their sum, whatever befalls one."""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echowarp.app.mixed_playback import MAX_WAITING
from echowarp.errors import StorageError
from echowarp.media.format import Format
from echowarp.media.mix import MAX_TALKERS, mix
from echowarp.media.resampler import SilentResampler
from echowarp.media.target import AUTO
from echowarp.session.inbox import Block
from tests.app.mixing import LATENCY_NS, MONO, MS, STEREO, Card, S, Stage, Talking, noise

BLOCK = STEREO.block_bytes
FIRST = 40
"""The mix is as sent from that block of a talker on: before it, it fades in."""


def sound(user: int, fmt: Format = STEREO) -> Callable[[int], bytes]:
    """Another block each time."""
    return lambda k: noise(1000 * user + k % 97, fmt.block_bytes)


def tone(fmt: Format, hz: float, peak: int = 8_000) -> Callable[[int], bytes]:
    def block(k: int) -> bytes:
        frames = range(k * fmt.block_frames, (k + 1) * fmt.block_frames)
        values = [round(peak * math.sin(2 * math.pi * hz * n / fmt.rate)) for n in frames]
        return struct.pack(f"<{len(values) * fmt.channels}h", *sorted_in(values, fmt.channels))

    return block


def sorted_in(values: list[int], channels: int) -> list[int]:
    return [value for value in values for _ in range(channels)]


def sent(talking: Talking, first: int, blocks: int) -> bytes:
    return b"".join(talking.sound(k) or b"" for k in range(first, first + blocks))


def offset_blocks(out: bytes, talking: Talking, k: int) -> int:
    """In which block of `out` the talker's block k is."""
    at = out.find(talking.sound(k) or b"?")
    assert at >= 0 and at % BLOCK == 0
    return at // BLOCK


def peak(pcm: bytes) -> int:
    return max(map(abs, array("h", pcm)), default=0)


def steepest(pcm: bytes, channels: int = 2) -> int:
    """The greatest step from one frame to the next."""
    left = array("h", pcm)[::channels]
    return max(abs(a - b) for a, b in pairwise(left))


def test_one_talker_passes_as_sent() -> None:
    stage = Stage()
    talker = Talking(1, sound=sound(1))
    stage.hear(talker)
    out = stage.run(3)
    begin = offset_blocks(out, talker, FIRST)
    assert out[begin * BLOCK :] == sent(talker, FIRST, len(out) // BLOCK - begin)
    # Captured a block before it leaves, 5 ms under way, 40 ms on top.
    assert (begin - FIRST) * 5 == 5 + 5 + LATENCY_NS // MS


def test_each_hears_exactly_the_sum() -> None:
    alone = []
    for user in (1, 2, 3):
        stage = Stage()
        stage.hear(Talking(user, sound=sound(user)))
        alone.append(stage.run(3))
    stage = Stage()
    stage.hear(*[Talking(user, sound=sound(user)) for user in (1, 2, 3)])
    assert stage.run(3) == mix(alone)


def test_a_sum_that_is_too_loud_saturates() -> None:
    stage = Stage()
    stage.hear(*[Talking(user, sound=lambda k: b"\xff\x7f" * 480) for user in range(1, 17)])
    assert stage.run(1)[-BLOCK:] == b"\xff\x7f" * 480
    assert len(stage.playback.talkers) == MAX_TALKERS


def test_clocks_that_run_apart_stay_at_their_targets() -> None:
    fmt = Format(rate=8_000, channels=1, block_frames=160)
    stage = Stage(fmt, new_resampler=SilentResampler, keep=False)
    talkers = [
        Talking(1, fmt, 200, sound=sound(1, fmt)),
        Talking(2, fmt, -200, sound=sound(2, fmt)),
    ]
    stage.hear(*talkers)
    stage.run(120)
    worst = {talker.user: 0.0 for talker in talkers}
    for _ in range(480):
        stage.run(1)
        for talker in talkers:
            playout = stage.playback._mix._heard[talker.stream]._playout
            assert playout is not None
            # When the next frame was captured by the talker's clock, as the world has it.
            frame_ns = playout.position / fmt.rate * S / (1 + talker.ppm / 1e6)
            delay_ns = stage.pulls * fmt.block_ns - frame_ns - fmt.block_ns - talker.way_ns
            worst[talker.user] = max(worst[talker.user], abs(delay_ns - LATENCY_NS))
    assert max(worst.values()) < 1 * MS
    told = {told.user: told for told in stage.playback.talkers.values()}
    assert told[1].drift_ppm == pytest.approx(200, abs=20)
    assert told[2].drift_ppm == pytest.approx(-200, abs=20)
    assert stage.playback.snapshot.counters.concealed == 0
    assert stage.playback.snapshot.counters.late == 0


def test_a_talker_that_is_gone_in_mid_word_fades_and_harms_nobody() -> None:
    stage = Stage()
    steady = Talking(1, sound=sound(1))
    stage.hear(steady)
    alone = stage.run(4)
    stage = Stage()
    gone = Talking(2, sound=tone(STEREO, 440), blocks=200)
    stage.hear(Talking(1, sound=sound(1)), gone)
    out = stage.run(2)
    rest = [a - b for a, b in zip(array("h", out), array("h", alone), strict=False)]
    # 1 s, 50 ms of delay, 50 ms of concealment, and nothing more.
    assert not any(rest[round(1.11 * 96_000) :])
    assert max(map(abs, rest[: round(1.04 * 96_000)])) > 7_900
    assert max(abs(a - b) for a, b in zip(rest[::2], rest[2::2], strict=False)) < 1_500
    stage.playback.end(gone.stream, 200)
    assert stage.run(2) == alone[len(out) :]
    assert list(stage.playback.talkers) == [steady.stream]
    assert stage.played_out == [gone.stream]
    assert stage.playback.snapshot.counters.concealed == 0, "what was never sent is no loss"


@pytest.mark.parametrize("fmt", [STEREO, Format(rate=44_100, channels=1, block_frames=220)])
def test_what_has_come_when_a_session_is_over_is_played_to_the_last_sample(fmt: Format) -> None:
    """Of who speaks still and of who has ended just now; and then it is told."""
    stage = Stage(latency=2 * S)
    speaks = Talking(1, fmt, sound=lambda k: b"\x00\x20" * (fmt.block_bytes // 2), blocks=300)
    ended = Talking(2, fmt, sound=speaks.sound, blocks=250)
    stage.hear(speaks, ended)
    stage.run(1.6)
    stage.playback.end(ended.stream, 250)
    stage.playback.session_over()
    done: list[int] = []
    stage.playback.finish(lambda: done.append(stage.pulls))
    stage.run(2.5)
    assert set(stage.played_out) == {speaks.stream, ended.stream}
    loud = array("h", bytes(stage.out))[::2]
    # A fall to silence follows the last sample, and a rate's own filter surrounds it.
    for level, blocks in ((0x1F00, 300), (0x3E00, 250)):
        heard_s = sum(abs(each) > level for each in loud) / 48_000
        assert heard_s == pytest.approx(blocks * fmt.block_ns / S, abs=0.004)
    last = len(loud) - next(n for n, each in enumerate(reversed(loud)) if each)
    assert len(done) == 1
    assert 0 <= done[0] * 240 - last < 4 * 240


def test_how_loud_somebody_is_stays_until_all_has_been_played() -> None:
    """Their number is somebody else's in the next session."""
    stage = Stage(latency=S)
    before = Talking(1, sound=lambda k: b"\x00\x20" * 480, blocks=200)
    stage.hear(before)
    stage.playback.set_volume(1, 0)
    stage.run(1.1)
    stage.playback.session_over()
    stage.playback.set_volume(1, 100)
    assert not any(stage.run(1.5))
    assert stage.played_out == [before.stream]
    assert stage.playback.snapshot.counters.received == 200


def test_a_device_is_given_time_to_play_the_last_sample() -> None:
    stage = Stage()
    stage.card.latency_ns = 100 * MS
    talker = Talking(1, sound=lambda k: b"\x00\x20" * 480, blocks=100)
    stage.hear(talker)
    stage.run(0.51)
    stage.playback.session_over()
    done: list[int] = []
    stage.playback.finish(lambda: done.append(stage.pulls))
    stage.run(0.5)
    last = len(bytes(stage.out).rstrip(b"\0")) // BLOCK
    assert 20 <= done[0] - last <= 23


def test_where_nothing_is_played_the_end_is_told_at_once() -> None:
    done: list[bool] = []
    stage = Stage()
    stage.playback.finish(lambda: done.append(True))
    assert done == [True]


def test_an_ended_stream_is_played_out_and_told() -> None:
    stage = Stage()
    talker = Talking(1, sound=lambda k: b"\x00\x20" * 480, blocks=200)
    stage.hear(talker)
    stage.run(1.01)
    stage.playback.end(talker.stream, 200)
    out = stage.run(0.2)
    # 1 s, of which 1.01 are over, is heard 45 ms late, and falls in 2.
    assert len(bytes(out).rstrip(b"\0")) == pytest.approx((0.04 + 0.002) * 192_000, abs=BLOCK)
    assert steepest(out) < 120
    assert stage.completed == stage.played_out == [talker.stream]
    counters = stage.playback.snapshot.counters
    assert (counters.lost, counters.concealed) == (0, 0)


def test_a_stream_of_which_nothing_came_ends_as_well() -> None:
    stage = Stage()
    talker = Talking(1, blocks=0)
    stage.hear(talker)
    stage.playback.end(talker.stream, 0)
    assert not any(stage.run(0.1))
    assert stage.completed == stage.played_out == [talker.stream]


def test_silence_is_faded_not_concealed_and_costs_nothing() -> None:
    """Spoken for a second in two; each second of silence is one block without payload."""
    stage = Stage()

    def spoken(k: int) -> bytes | None:
        return b"\x00\x20" * 480 if k % 400 < 200 else b"" if k % 400 == 200 else None

    talker = Talking(1, sound=spoken, unsaid=True)
    stage.hear(talker)
    stage.run(10)
    out = bytes(stage.out)
    counters = stage.playback.snapshot.counters
    assert (counters.concealed, counters.lost, counters.late) == (0, 0, 0)
    heard = sum(1 for value in out[1::8] if value) / (len(out) / 8)
    assert heard == pytest.approx(0.5, abs=0.02)
    assert steepest(out) < 150
    assert "stream of 1" not in stage.wanted
    playout = stage.playback._mix._heard[talker.stream]._playout
    assert playout is not None
    stage.run(0.5)
    while not playout.silent:
        stage.run(0.005)
    played = playout.played_frames
    stage.run(0.3)
    assert playout.silent and playout.played_frames == played


@pytest.mark.parametrize(
    "fmt",
    [
        Format(rate=44_100, channels=2, block_frames=220),
        Format(rate=44_100, channels=1, block_frames=220),
        Format(rate=8_000, channels=1, block_frames=40),
        Format(rate=48_000, channels=1, block_frames=240),
        Format(rate=96_000, channels=2, block_frames=240),
    ],
    ids=str,
)
def test_other_rates_and_channels_are_converted(fmt: Format) -> None:
    stage = Stage()
    talker = Talking(1, fmt, ppm=100, sound=tone(fmt, 500))
    stage.hear(talker)
    out = stage.run(6)
    left = array("h", out)[::2]
    assert left == array("h", out)[1::2]
    tail = left[-48_000:]
    rises = sum(1 for a, b in pairwise(tail) if a < 0 <= b)
    assert rises == pytest.approx(500, abs=1)
    assert peak(out[-48_000:]) == pytest.approx(8_000, rel=0.02)
    assert max(abs(a - b) for a, b in pairwise(tail)) < 560
    assert stage.playback.snapshot.counters.concealed == 0
    (told,) = stage.playback.talkers.values()
    assert told.delay is not None
    assert told.delay.total_ns == pytest.approx(LATENCY_NS + 10 * MS, abs=3 * MS)


def test_a_converted_talker_keeps_its_delay_through_silence() -> None:
    fmt = Format(rate=44_100, channels=1, block_frames=220)
    stage = Stage()
    talker = Talking(1, fmt, ppm=0, sound=lambda k: tone(fmt, 500)(k) if k % 400 < 200 else b"")
    stage.hear(talker)
    stage.run(1.9)
    delays = []
    for _ in range(4):
        stage.run(1.2)
        (told,) = stage.playback.talkers.values()
        assert told.delay is not None
        delays.append(told.delay.total_ns)
        stage.run(0.8)
    assert max(delays) - min(delays) < 1 * MS


def test_volume_and_mute_are_by_user_and_without_clicks() -> None:
    stage = Stage()
    stage.hear(Talking(1, sound=lambda k: b"\x00\x20" * 480), Talking(2, sound=sound(2)))
    stage.run(1)
    stage.playback.set_muted(2, True)
    stage.run(0.1)
    assert stage.run(0.1) == b"\x00\x20" * (48 * 200)
    stage.playback.set_volume(1, 50)
    changing = stage.run(0.1)
    assert steepest(changing) < 40
    assert stage.run(0.1) == b"\x00\x10" * (48 * 200)
    stage.playback.set_volume(1, 0)
    stage.run(0.1)
    assert not any(stage.run(0.1))
    stage.playback.set_muted(2, False)
    stage.run(0.1)
    assert peak(stage.run(0.1)) > 7_000
    with pytest.raises(ValueError):
        stage.playback.set_volume(1, 1601)
    with pytest.raises(ValueError):
        stage.playback.set_volume(1, math.nan)


def test_a_volume_outlives_the_stream() -> None:
    stage = Stage()
    stage.playback.set_muted(1, True)
    stage.hear(Talking(1, sound=sound(1)))
    assert not any(stage.run(1))


def test_what_is_missing_is_asked_for_by_its_stream() -> None:
    stage = Stage()
    lossy = Talking(2, sound=lambda k: None if k in (50, 80) else noise(k % 7, BLOCK))
    stage.hear(Talking(1, sound=sound(1)), lossy)
    stage.run(1)
    assert stage.wanted == {lossy.stream: {50, 80}}
    assert stage.playback.talkers[lossy.stream].counters.concealed == 2
    assert stage.playback.talkers["stream of 1"].counters.concealed == 0


def test_a_user_that_begins_anew_is_heard_once() -> None:
    stage = Stage()
    first = Talking(1, sound=lambda k: b"\x00\x20" * 480)
    stage.hear(first)
    stage.run(1)
    again = Talking(1, sound=sound(3), begin_ns=stage.now_ns)
    stage.playback.hear("another", 1, STEREO, continued=False)
    out = stage.run(0.1)
    assert not any(out[2 * BLOCK :])
    assert stage.playback.talkers.keys() == {"another"}
    for at_ns, block in again.come(again.begin_ns + 200 * MS):
        stage.playback.arrived(block._replace(stream="another"), at_ns)
    assert any(stage.run(0.2))


def test_a_stream_that_goes_on_keeps_its_buffer() -> None:
    stage = Stage()
    talker = Talking(1, sound=sound(1))
    stage.hear(talker)
    before = stage.run(1)
    stage.playback.hear("resumed", 1, STEREO, continued=True)
    stage.talking.clear()
    for _ in range(200):
        for at_ns, block in talker.come(stage.pulls * STEREO.block_ns):
            stage.playback.arrived(block._replace(stream="resumed"), at_ns)
        stage.run(0.005)
    begin = offset_blocks(before, talker, FIRST)
    out = bytes(stage.out)
    assert out[begin * BLOCK :] == sent(talker, FIRST, len(out) // BLOCK - begin)
    assert stage.playback.talkers.keys() == {"resumed"}
    assert stage.played_out == []


def test_more_talkers_than_there_may_be_are_not_heard(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    stage.hear(*[Talking(user, sound=lambda k: b"\x01\x00" * 480) for user in range(1, 1001)])
    out = stage.run(0.2)
    assert out[-BLOCK:] == b"\x10\x00" * 480
    assert len(stage.playback.talkers) == MAX_TALKERS
    assert "more than 16 talkers" in caplog.text
    stage.playback.end("stream of 1000", 40)
    stage.run(0.005)
    assert stage.completed == stage.played_out == ["stream of 1000"]


def test_sealed_payloads_are_opened_after_repair() -> None:
    """The seal here is the seq, four times; a wrong one is dropped and concealed."""

    def open_payload(stream: object, seq: int, time: int, payload: bytes) -> bytes | None:
        assert stream == "stream of 1" and time == 240 * seq
        body, seal = payload[:-16], payload[-16:]
        return body if seal == seq.to_bytes(4, "big") * 4 else None

    stage = Stage(opener=open_payload)

    def sealed(k: int) -> bytes:
        body = b"" if k % 400 == 399 else sound(1)(k)
        return body + (k if k != 60 else 0).to_bytes(4, "big") * 4

    talker = Talking(1, sound=sealed)
    stage.hear(talker, sealed=True)
    out = stage.run(2)
    at = out.find(sound(1)(70))
    assert at > 0 and out[at:] == b"".join(map(sound(1), range(70, 70 + (len(out) - at) // BLOCK)))
    (told,) = stage.playback.talkers.values()
    assert (told.unopened, told.counters.concealed) == (1, 1)


def test_a_sink_that_stands_still_bounds_what_waits(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    talker = Talking(1, sound=sound(1))
    stage.hear(talker)
    stage.run(1)
    for at_ns, block in talker.come(200 * S):
        stage.playback.arrived(block, at_ns)
    assert stage.playback._messages.qsize() == MAX_WAITING
    assert caplog.text.count("the sink takes no sound") == 1


def test_a_mix_that_is_pulled_late_is_what_it_would_have_been() -> None:
    """The clock is set back to when each block was due: an hour's stutter is not heard."""
    in_time = Stage()
    in_time.hear(Talking(1, ppm=100, jitter_ns=8 * MS, sound=sound(1)))
    expected = in_time.run(4)
    late = Stage()
    talker = Talking(1, ppm=100, jitter_ns=8 * MS, sound=sound(1))
    late.hear(talker)
    late.talking.clear()
    arrivals = sorted(talker.come(20 * S), key=lambda each: each[0])
    out = late.run(1) if not arrivals else b""
    for at_ns, block in arrivals:
        late.playback.arrived(block, at_ns)
    assert out + late.run(4) == expected


def test_a_target_moves_by_itself() -> None:
    stage = Stage(latency=AUTO, keep=False)
    calm = Talking(1, sound=sound(1))
    jittery = Talking(2, jitter_ns=30 * MS, sound=sound(2))
    stage.hear(calm, jittery)
    stage.run(60)
    told = {each.user: each for each in stage.playback.talkers.values()}
    assert told[1].target_ns <= 13 * MS < 30 * MS < told[2].target_ns
    assert told[1].counters.concealed == 0


def test_nothing_is_opened_before_somebody_is_heard_of_or_after_the_close() -> None:
    stage = Stage()
    assert stage.card.opened == []
    stage.playback.close(lambda: True)
    stage.playback.hear("late", 1, STEREO, continued=False)
    assert stage.card.opened == [] and stage.failures == []


def test_a_sink_that_cannot_be_opened_is_told_and_tried_again() -> None:
    stage = Stage()
    open_card, stage.playback._open_sink = stage.playback._open_sink, refuse
    talker = Talking(1, sound=sound(1))
    for _ in range(3):
        with pytest.raises(StorageError):
            stage.playback.hear(talker.stream, 1, STEREO, continued=False)
    assert stage.playback._messages.qsize() == 1, "the server's clock alone"
    stage.playback._open_sink = open_card
    stage.hear(talker)
    assert any(stage.run(0.2))


def refuse(fmt: Format) -> Card:
    raise StorageError("no room")


def test_what_a_close_cannot_complete_is_told() -> None:
    stage = Stage()
    stage.hear(Talking(1))
    stage.card.error = StorageError("the disk is full")
    stage.playback.close(lambda: True)
    assert [str(error) for error in stage.failures] == ["the disk is full"]


@given(
    fmt=st.builds(
        lambda rate, channels, frames: Format(
            rate=rate, channels=channels, block_frames=min(frames, 1187 // (2 * channels))
        ),
        st.sampled_from([8_000, 8_001, 11_025, 47_999, 48_000, 191_999, 192_000]),
        st.integers(1, 8),
        st.sampled_from([1, 7, 40, 240, 593]),
    ),
    seqs=st.lists(
        st.tuples(st.integers(0, 60), st.integers(-500, 500), st.booleans()), max_size=40
    ),
    end=st.one_of(st.none(), st.integers(0, 100)),
)
@settings(max_examples=60, deadline=None)
def test_hostile_formats_and_times_give_a_whole_mix(
    fmt: Format, seqs: list[tuple[int, int, bool]], end: int | None
) -> None:
    stage = Stage(MONO)
    stage.playback.hear("hostile", 1, fmt, continued=False)
    for n, (seq, skew, silent) in enumerate(seqs):
        payload = b"" if silent else b"\x11" * fmt.block_bytes
        time = max(0, seq * fmt.block_frames + skew)
        stage.now_ns = n * 3 * MS
        stage.playback.arrived(Block("hostile", seq, time, payload, 0, False), stage.now_ns)
        if n % 4 == 0:
            stage.run(0.01)
    if end is not None:
        stage.playback.end("hostile", end)
    stage.run(0.4)
    assert stage.failures == []
