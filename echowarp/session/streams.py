"""Where a stream is: its counters unwrapped, absurd ones refused, and whether a
stream met after a reconnection is the one that was lost.

Source: protocol 1, section 7.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from echowarp.errors import ProtocolError
from echowarp.wire.records import Stream
from echowarp.wire.serial import unwrap

NS_PER_S = 1_000_000_000
MAX_AHEAD_NS = 2 * NS_PER_S
MAX_BEHIND_NS = NS_PER_S
CLOCK_PERCENT = 1
"""No clock of sound is further off than this."""
JITTER_GAIN = 16
PCM_CODEC = 0
SAMPLE_BYTES = 2
MAX_PAYLOAD_BYTES = 1187
RATES = range(8_000, 192_001)
CHANNELS = range(1, 9)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFormat:
    """What STREAM says of the sound: frames a second, channels, frames of a full block."""

    rate: int
    channels: int
    block_frames: int

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame."""
        return SAMPLE_BYTES * self.channels

    def blocks(self, duration_ns: int) -> int:
        """How many full blocks fit into `duration_ns`."""
        return duration_ns * self.rate // (NS_PER_S * self.block_frames)


def format_of(stream: Stream) -> StreamFormat:
    """The format that a STREAM announces. Raises ProtocolError for one we cannot play."""
    frame_bytes = SAMPLE_BYTES * stream.channels
    if stream.codec != PCM_CODEC:
        raise ProtocolError(f"codec {stream.codec} is not known")
    if stream.rate not in RATES or stream.channels not in CHANNELS:
        raise ProtocolError(f"a stream of {stream.rate} Hz and {stream.channels} channels")
    if not 0 < stream.block * frame_bytes <= MAX_PAYLOAD_BYTES:
        raise ProtocolError(f"blocks of {stream.block} frames do not fit a datagram")
    return StreamFormat(rate=stream.rate, channels=stream.channels, block_frames=stream.block)


class Position(NamedTuple):
    """The newest block of a stream: unwrapped counters, and when it came."""

    seq: int
    time: int
    at_ns: int


class StreamTracker:
    """Unwraps the counters of one announced stream.

    start: position of the block that STREAM announced, its `at_ns` the time of
    the announcement; seal_bytes: what each payload has on top of its frames.
    """

    def __init__(self, fmt: StreamFormat, start: Position, *, seal_bytes: int = 0) -> None:
        self.format = fmt
        self.seal_bytes = seal_bytes
        self.first_seq = start.seq
        self._start = start
        self._block_ns = fmt.block_frames * NS_PER_S // fmt.rate
        self.newest = start
        """The furthest block so far; at first, where the stream will go on."""
        self.jitter_ns = 0.0
        """Interarrival jitter as RFC 3550, section 6.4.1, smooths it, nanoseconds."""

    def place(self, seq: int, time: int, payload_bytes: int, now_ns: int) -> tuple[int, int] | None:
        """The unwrapped (seq, time) of a block, or None for one to drop: over 2 s
        ahead of where the stream can be by now, over 1 s behind, or no whole frames.

        payload_bytes: without what it is sealed by.
        """
        fmt, newest = self.format, self.newest
        if payload_bytes < 0:
            return None
        if payload_bytes % fmt.frame_bytes or payload_bytes > fmt.block_frames * fmt.frame_bytes:
            return None
        seq = unwrap(seq, newest.seq)
        time = unwrap(time, newest.time + (seq - newest.seq) * fmt.block_frames)
        if self.follow(seq, time, now_ns):
            return seq, time
        reach_ns = MAX_AHEAD_NS + max(0, now_ns - newest.at_ns)
        ahead = seq - newest.seq
        if not -fmt.blocks(MAX_BEHIND_NS) <= ahead <= fmt.blocks(reach_ns):
            return None
        # Over all, a stream cannot be further on than the time that has passed.
        most_ns = MAX_AHEAD_NS + (now_ns - self._start.at_ns) * (100 + CLOCK_PERCENT) // 100
        if (time - self._start.time) * NS_PER_S > most_ns * fmt.rate:
            return None
        drift = abs(time - newest.time - ahead * fmt.block_frames)
        if drift > reach_ns * fmt.rate // NS_PER_S or seq < self.first_seq:
            return None
        if ahead > 0:
            spacing_ns = (time - newest.time) * NS_PER_S // fmt.rate
            deviation_ns = abs(now_ns - newest.at_ns - spacing_ns)
            self.jitter_ns += (deviation_ns - self.jitter_ns) / JITTER_GAIN
        if seq > newest.seq or newest.seq == self.first_seq:
            self.newest = Position(seq=seq, time=time, at_ns=now_ns)
        return seq, time

    def follow(self, seq: int, time: int, now_ns: int) -> bool:
        """Block `seq` comes where it is the next one and its `time` as foretold, as most
        do: what `place` does then. False, and nothing is done, where it is not so."""
        fmt, newest, start = self.format, self.newest, self._start
        passed = time - newest.time
        if seq != newest.seq + 1 or passed != fmt.block_frames:
            return False
        most_ns = MAX_AHEAD_NS + (now_ns - start.at_ns) * (100 + CLOCK_PERCENT) // 100
        if (time - start.time) * NS_PER_S > most_ns * fmt.rate:
            return False
        deviation_ns = abs(now_ns - newest.at_ns - self._block_ns)
        self.jitter_ns += (deviation_ns - self.jitter_ns) / JITTER_GAIN
        # All that a named tuple has of its own comes down to this, and it is for every block.
        self.newest = tuple.__new__(Position, (seq, time, now_ns))
        return True

    def place_end(self, seq: int, now_ns: int) -> int:
        """The unwrapped number one past the last block. Raises ProtocolError when it
        is further away than a block may be."""
        end_seq = unwrap(seq, self.newest.seq)
        reach_ns = MAX_AHEAD_NS + max(0, now_ns - self.newest.at_ns)
        if not 0 <= end_seq - self.newest.seq <= self.format.blocks(reach_ns) + 1:
            raise ProtocolError(f"a stream that ends {end_seq - self.newest.seq} blocks on")
        return end_seq


def begin(stream: Stream, now_ns: int) -> StreamTracker:
    """Follows a newly announced stream. Raises ProtocolError as `format_of` does."""
    start = Position(seq=stream.seq, time=stream.time, at_ns=now_ns)
    return StreamTracker(format_of(stream), start)


def resume(stream: Stream, lost: StreamTracker, now_ns: int) -> StreamTracker | None:
    """Follows a stream that goes on after a lost connection, its counters continued.

    None when it is another one: servers draw the first seq and time of a stream
    at random, so only the same stream has moved by as many blocks as frames, and
    by no more than the time that has passed. Raises ProtocolError as `format_of`.
    """
    fmt, newest = format_of(stream), lost.newest
    if fmt != lost.format:
        return None
    seq, time = unwrap(stream.seq, newest.seq), unwrap(stream.time, newest.time)
    blocks, frames = seq - newest.seq, time - newest.time
    reach_ns = MAX_AHEAD_NS + now_ns - newest.at_ns
    slack = fmt.rate * MAX_AHEAD_NS // NS_PER_S
    if not 0 <= blocks <= fmt.blocks(reach_ns) or abs(frames - blocks * fmt.block_frames) > slack:
        return None
    return StreamTracker(fmt, Position(seq=seq, time=time, at_ns=now_ns))
