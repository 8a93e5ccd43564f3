"""Blocks, gaps and the end, in the order in which they are heard."""

from __future__ import annotations

import random
import struct
from itertools import pairwise

from echowarp.media.format import Format
from echowarp.media.playout_delay import PlayoutDelay
from echowarp.media.playout_sound import PlayoutSound
from echowarp.media.pull_line import PullLine
from echowarp.media.resampler import Resampler

FMT = Format(rate=48_000, channels=1, block_frames=240)
BLOCK = random.Random(1).randbytes(FMT.block_bytes)


def made() -> PlayoutSound:
    delay = PlayoutDelay(FMT, target_ns=0, fixed=False, line=PullLine(FMT), now_ns=0)
    return PlayoutSound(FMT, delay, Resampler(FMT))


def test_blocks_come_out_as_they_are_in_any_portion() -> None:
    sound = made()
    sound.play(BLOCK)
    sound.play(BLOCK)
    assert sound.ready_frames == sound.held_frames == 480
    assert sound.take(100) + sound.take(380) == BLOCK + BLOCK
    assert sound.ready_frames == 0


def test_a_splice_blends_two_milliseconds() -> None:
    sound = made()
    sound.play(BLOCK)
    sound.splice()
    sound.play(BLOCK)
    after = sound.take(480)[480:]
    assert after[:192] != BLOCK[:192] and after[192:] == BLOCK[192:]


def test_a_gap_is_concealed_and_the_end_is_a_short_fall() -> None:
    sound = made()
    sound.play(BLOCK)
    sound.conceal(30)
    assert sound.ready_frames == 270
    sound.take(270)
    sound.end()
    sound.end()
    fall = sound.take(480)
    assert any(fall[:100]) and not any(fall[192:])


def test_after_the_end_there_is_silence_until_a_block_that_fades_in() -> None:
    sound = made()
    sound.play(b"\x00\x20" * 240)
    assert not sound.ended
    sound.end()
    assert not sound.ended, "its fall is still to be heard"
    sound.take(240)
    fall = struct.unpack("<240h", sound.take(240))
    assert sound.ended
    assert fall[0] > 8_000 and not any(fall[96:])
    assert all(0 <= a - b < 100 for a, b in pairwise(fall))
    sound.conceal(100)
    assert sound.take(100) == bytes(200) and sound.ended
    sound.play(b"\x00\x20" * 240)
    assert not sound.ended
    rise = struct.unpack("<240h", sound.take(240))
    assert rise[0] < 100 and rise[96:] == (8_192,) * 144
    assert all(0 <= b - a < 100 for a, b in pairwise(rise))


def test_what_was_concealed_last_falls_without_a_step() -> None:
    sound = made()
    sound.play(b"\x00\x20" * 2_400)
    sound.conceal(48 * 30)
    sound.end()
    heard = struct.unpack(f"<{sound.ready_frames}h", sound.take(sound.ready_frames))
    assert max(abs(a - b) for a, b in pairwise(heard)) < 200
