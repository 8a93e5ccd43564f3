"""A clock's correction: sound a little faster or slower, by a moving fractional delay.

All frames of a piece are filtered by one multiplication of two big integers: the
samples lie in 32-bit lanes, channel after channel, and the filter's taps in lanes of
another integer, so that the product is their convolution. Within a piece the delay
moves: the sound is filtered for the piece's start and for the change until its end, and
eight lane masks, one for each bit of a weight, blend the change in.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from echowarp.media.format import SAMPLE_BYTES, Format
from echowarp.media.lanes import FLIP_SIGN, LANE_BITS, LANE_BYTES, clamp, fill
from echowarp.media.windowed_sinc import fractional_taps, quantised

MAX_PPM = 3000.0
"""A shift in pitch of 5 cents: more would be heard."""

TAPS = 16
LOOKAHEAD_FRAMES = TAPS // 2 + 1
"""Frames that must have come after the one whose place is read; one of them because a
delay that moves may reach into the next."""
_BEFORE_FRAMES = TAPS // 2
_MARGIN = TAPS + 1
"""Lanes of a channel that the taps' reach takes on top of the piece's frames."""

_PHASES = 256
_KAISER_BETA = 6.5
"""A compromise: less is purer at 18 kHz (6.0: 64 dB, not 58), more at 1 kHz."""
_TAP_BITS = 14
_GUARD_BIT = 30
"""No filter swells a sample to twice full scale or more, so two bits of guard do."""
_WEIGHT_BITS = 8

_SLOW_PPM, _SLOW_PIECE_FRAMES, _FAST_PIECE_FRAMES = 300.0, 256, 64
"""The straight blend is as true as the piece's change of delay is small."""

_FRACTION_BITS = 48
"""Rounds the rate by less than 1e-6 frames in an hour."""
_ONE = 1 << _FRACTION_BITS


class Piece(NamedTuple):
    """Output frames that are made at once: where they begin and end, in input frames."""

    frames: int
    start: int
    """The place of the first output frame, in 2^-48 input frames."""
    stop: int
    """The place of the output frame after the last."""


class Position:
    """Where in the input the next output frame lies, exactly, in 2^-48 frames."""

    def __init__(self) -> None:
        self.place = 0

    def plan(self, input_frames: int, ppm: float) -> list[Piece]:
        """Moves on as far as `input_frames` frames allow; returns the pieces of the way.

        ppm: by how much the input is used up faster (or slower) than frames come out.
        """
        step = _ONE + round(ppm * _ONE / 1e6)
        frames = -(-((input_frames << _FRACTION_BITS) - self.place) // step)
        if frames <= 0:
            return []
        most = _SLOW_PIECE_FRAMES if abs(ppm) <= _SLOW_PPM else _FAST_PIECE_FRAMES
        if frames <= most:
            start, self.place = self.place, self.place + frames * step
            return [Piece(frames, start, self.place)]
        count = -(-frames // most)
        pieces = []
        for i in range(count):
            size = frames * (i + 1) // count - frames * i // count
            start, self.place = self.place, self.place + size * step
            pieces.append(Piece(size, start, self.place))
        return pieces

    def rebase(self, frames: int) -> None:
        """Counts from an input frame `frames` later from now on."""
        self.place -= frames << _FRACTION_BITS


class Resampler:
    """Changes the speed of one stream, continuously. One thread owns it.

    Until the first correction that is not zero, blocks come back as they are, the same
    objects, without delay. The first one that is corrected begins at that very place,
    where the filter passes samples unchanged, so nothing clicks; `LOOKAHEAD_FRAMES`
    frames are held back from then on.
    """

    def __init__(self, fmt: Format) -> None:
        self._format = fmt
        self._position = Position()
        self._engaged = False
        self.delay_frames = 0
        """How many frames the output is behind the input: 0 until engaged."""
        self._held = bytes(_BEFORE_FRAMES * fmt.frame_bytes)
        """Input that is still needed: `_BEFORE_FRAMES` before the position, and on."""
        _phase_table()  # made now, not beside running sound

    def process(self, pcm: bytes, ppm: float) -> bytes:
        """The next frames of the stream, made from `pcm` and what was held back.

        pcm: any number of whole frames of s16le; ppm: the correction in parts per
        million, -3000..3000, above zero for faster (fewer frames come out than go in).
        Raises ValueError for anything else.
        """
        if len(pcm) % self._format.frame_bytes:
            raise ValueError(f"{len(pcm)} bytes are not whole frames of {self._format}")
        if not -MAX_PPM <= ppm <= MAX_PPM:
            raise ValueError(f"a correction of {ppm} ppm is outside ±{MAX_PPM:g}")
        if not self._engaged and not ppm:
            kept = _BEFORE_FRAMES * self._format.frame_bytes
            self._held = pcm[-kept:] if len(pcm) >= kept else (self._held + pcm)[-kept:]
            return pcm
        self._engaged, self.delay_frames = True, LOOKAHEAD_FRAMES
        return self._advance(self._held + pcm, ppm)

    def _advance(self, held: bytes, ppm: float) -> bytes:
        size, channels = self._format.frame_bytes, self._format.channels
        usable = len(held) // size - _BEFORE_FRAMES - LOOKAHEAD_FRAMES
        out = []
        for piece in self._position.plan(usable, ppm):
            first = (piece.start >> _FRACTION_BITS) * size
            length = (piece.frames + _MARGIN) * size
            # A slower piece that passes into the previous frame ends one frame short:
            # the frame that only a piece passing into the next one looks at.
            needed = held[first : first + length].ljust(length, b"\0")
            out.append(self._made(needed, channels, piece))
        used = self._position.place >> _FRACTION_BITS
        self._position.rebase(used)
        self._held = held[used * size :]
        return b"".join(out)

    def _made(self, pcm: bytes, channels: int, piece: Piece) -> bytes:
        return _filter(pcm, channels, piece)


class SilentResampler(Resampler):
    """Takes and gives as many frames as a Resampler does, and all of those it makes are
    silent: where only their number counts."""

    def _made(self, pcm: bytes, channels: int, piece: Piece) -> bytes:
        return bytes(piece.frames * channels * SAMPLE_BYTES)


def _filter(pcm: bytes, channels: int, piece: Piece) -> bytes:
    """The frames of a piece. `pcm` begins `_BEFORE_FRAMES` before its first place."""
    layout = _layout(piece.frames, channels)
    begin = _taps(piece.start & _ONE - 1)
    samples = _widen(pcm, channels)
    value = samples * begin
    # The phase at the piece's end, which may have passed into the next or previous frame.
    moved = piece.stop - ((piece.start >> _FRACTION_BITS) + piece.frames << _FRACTION_BITS)
    change = _shifted(_taps(moved & _ONE - 1), moved >> _FRACTION_BITS) - begin
    if change:
        value += layout.blend_bias
        moving = samples * change + layout.guards
        for shift, mask in layout.masks:
            value += (moving & mask) >> shift
    else:
        value += layout.bias
    if value & layout.inside != layout.inside:
        value = clamp(value, layout.ones, _GUARD_BIT, _TAP_BITS)
    return _narrow(value, channels, piece.frames)


def _widen(pcm: bytes, channels: int) -> int:
    """One lane of offset binary for each sample, channel after channel."""
    step = 2 * channels
    length = LANE_BYTES * (len(pcm) // step)
    lanes = bytearray(length * channels)
    for channel in range(channels):
        at, end = channel * length, (channel + 1) * length
        lanes[at:end:LANE_BYTES] = pcm[2 * channel :: step]
        lanes[at + 1 : end : LANE_BYTES] = pcm[2 * channel + 1 :: step].translate(FLIP_SIGN)
    return int.from_bytes(lanes, "little")


def _narrow(value: int, channels: int, frames: int) -> bytes:
    """The valid lanes of a product as interleaved s16le."""
    step = 2 * channels
    length = LANE_BYTES * (frames + _MARGIN)
    # The sample's 16 bits to the upper half of the lane, the guard to the next one.
    lanes = (value << 16 - _TAP_BITS).to_bytes(length * (channels + 1), "little")
    pcm = bytearray(step * frames)
    for channel in range(channels):
        at, end = channel * length + LANE_BYTES * _MARGIN, (channel + 1) * length
        pcm[2 * channel :: step] = lanes[at + 2 : end : LANE_BYTES]
        pcm[2 * channel + 1 :: step] = lanes[at + 3 : end : LANE_BYTES].translate(FLIP_SIGN)
    return bytes(pcm)


class _Layout(NamedTuple):
    """What a piece's size decides: constants, each an integer of lanes."""

    ones: int
    """1 in the lanes that are valid: the others hold products of two channels."""
    inside: int
    """The guard bit in valid lanes, set as long as nothing saturates."""
    guards: int
    """Lifts every lane of the change above zero."""
    masks: tuple[tuple[int, int], ...]
    """For each bit of the weights: how far to shift, and the lanes that have it. The
    bits that the shift drops are left out, or they would fall into the next lane."""
    bias: int
    """Guard and half a step for rounding, without a change."""
    blend_bias: int
    """The same, less what the blended guards bring."""


@lru_cache(maxsize=64)
def _layout(frames: int, channels: int) -> _Layout:
    weights = [(i << _WEIGHT_BITS) // frames for i in range(frames)]
    ones = _valid([1] * frames, channels)
    lanes = (frames + _MARGIN) * channels + _MARGIN
    bias = fill((1 << _GUARD_BIT) + (1 << _TAP_BITS - 1), lanes)
    guards = fill(1 << _GUARD_BIT, lanes)
    masks = []
    blended = 0
    for bit in range(_WEIGHT_BITS):
        shift = _WEIGHT_BITS - bit
        kept = (1 << LANE_BITS) - (1 << shift)
        mask = _valid([kept if weight >> bit & 1 else 0 for weight in weights], channels)
        masks.append((shift, mask))
        blended += (guards & mask) >> shift
    return _Layout(ones, ones << _GUARD_BIT, guards, tuple(masks), bias, bias - blended)


def _valid(values: list[int], channels: int) -> int:
    """The integer that holds `values` in the valid lanes of each channel."""
    plane = bytes(LANE_BYTES * _MARGIN) + b"".join(
        [value.to_bytes(LANE_BYTES, "little") for value in values]
    )
    return int.from_bytes(plane * channels, "little")


@lru_cache(maxsize=1)
def _phase_table() -> list[list[float]]:
    return fractional_taps(TAPS, _PHASES, 1.0, _KAISER_BETA)


# A piece begins where the last one of its stream ended: a room of talkers takes turns.
@lru_cache(maxsize=64)
def _taps(fraction: int) -> int:
    """The filter `fraction` (2^-48 frames) after a frame, tap k in lane TAPS - k."""
    phase = fraction * _PHASES
    index = phase >> _FRACTION_BITS
    between = (phase & _ONE - 1) / _ONE
    table = _phase_table()
    row = [a + (b - a) * between for a, b in zip(table[index], table[index + 1], strict=True)]
    packed = 0
    for tap in quantised(row, _TAP_BITS):
        packed = (packed << LANE_BITS) + tap
    return packed << LANE_BITS


def _shifted(taps: int, frames: int) -> int:
    """The same filter `frames` (-1, 0 or 1) later; lane 0 and the topmost are spare."""
    if frames > 0:
        return taps >> LANE_BITS
    return taps << LANE_BITS if frames else taps
