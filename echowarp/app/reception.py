"""One stream as it is received: what came, what repair rows give, what to ask for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from echowarp.media.format import NS_PER_S, Format
from echowarp.media.repair import RepairSolver
from echowarp.media.target import Policy, Reason, TargetDelay, Way
from echowarp.session.inbox import Block, RepairPiece
from echowarp.session.requests import RequestTimers
from echowarp.wire.feedback import Request

CAPTURES = 5
"""Of the last five seconds: clocks 200 ppm apart move by 1 ms meanwhile."""
PAUSED_NS = NS_PER_S // 20
"""A capture so much later than the stream's time says: the source has stood still. No
device calls that late for long."""
REMEMBERED_NS = 2 * NS_PER_S
"""Further copies of a block do not come later than this after the first."""
OVERTAKEN_NS = NS_PER_S // 5
"""A block that a row gave may still come by itself for so long. Later than that no
target would have waited for it: it needed the row."""
SEAL_BYTES = 16
"""What a payload that is sealed end to end has on top of its sound."""

OpenPayload: TypeAlias = Callable[[object, int, int, bytes], "bytes | None"]
"""Opens the payload of (stream, seq, time, payload); None for one that is to be dropped."""


class Usable(NamedTuple):
    """A block that can be played, counters unwrapped."""

    seq: int
    time: int
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerClock:
    """What the clock exchange knows: the round trip, and the server's clock minus ours."""

    srtt_ns: int
    rto_ns: int
    offset_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureTime:
    """Frame `time` (unwrapped) was captured when the server's clock said `captured_ns`."""

    time: int
    captured_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """From capture to playback, in nanoseconds, by stage; each part at least 0.

    capture: from a block's first frame to its last; network: the fastest path; buffer:
    what the target adds to that; device: from a pull until the sound is heard.
    """

    capture_ns: int
    network_ns: int
    buffer_ns: int
    device_ns: int

    @property
    def total_ns(self) -> int:
        """All stages together."""
        return self.capture_ns + self.network_ns + self.buffer_ns + self.device_ns


class Reception:
    """Repair, requests and target of one stream. The owner of the playout owns it.

    first_seq, first_time: the first block to expect, unwrapped; latency: a policy, or
    a fixed target in nanoseconds; period_ns: what the sink takes at once; seal_bytes: of
    each payload, what is not sound.
    """

    def __init__(
        self,
        fmt: Format,
        *,
        first_seq: int,
        first_time: int,
        latency: Policy | int,
        period_ns: int,
        now_ns: int,
        seal_bytes: int = 0,
    ) -> None:
        self.repaired = 0
        """Blocks made from repair rows that did not come by themselves in 0.2 s, or ever."""
        self.resent = 0
        """Blocks that came first in answer to a request."""
        self._format = fmt
        self._first_time = first_time
        self._seal_bytes = seal_bytes
        self._usable: dict[int, bool] = {}
        """Whether the block came by itself, for each that can be played."""
        self._solved_ns: dict[int, int] = {}
        """When a row gave a block that may still come by itself."""
        self._remembered_blocks = REMEMBERED_NS // fmt.block_ns
        self._clock: ServerClock | None = None
        self._capture: CaptureTime | None = None
        self._captures: deque[CaptureTime] = deque(maxlen=CAPTURES)
        self._solver = RepairSolver(first_seq, first_time)
        self._timers = RequestTimers(next_seq=first_seq, block_ns=fmt.block_ns)
        self._target = TargetDelay(latency, period_ns=period_ns, now_ns=now_ns)

    @property
    def guard_ns(self) -> int:
        """How long a missing block is waited for before it is asked for."""
        return self._timers.guard_ns

    @property
    def target_ns(self) -> int:
        """How long after the fastest path blocks are to be played."""
        return self._target.target_ns

    @property
    def needed_ns(self) -> int:
        """What the network needs, also where the target is fixed; 0 while nothing is known."""
        return self._target.needed_ns

    @property
    def reason(self) -> Reason:
        """Why the target is what it is."""
        return self._target.reason

    def block(self, block: Block, at_ns: int) -> list[Usable]:
        """A block came: gives it and what it solves.

        Nothing for one that was sent again or solved before it came, for nobody sent
        it twice. A second copy by itself is given: the playout counts duplicates.
        """
        seq, resent = block.seq, block.resent
        self._timers.arrived(seq, at_ns, resent=resent)
        if len(block.payload) <= self._seal_bytes:
            self._timers.pause()
        if self._solved_ns:
            self._count_repaired(at_ns)
        by_itself = self._usable.get(seq)
        if by_itself is not None:
            if resent or not by_itself:
                self._usable[seq] = by_itself or not resent
                if not resent:
                    self._solved_ns.pop(seq, None)
                return []
        else:
            self.resent += resent
            self._note(seq, block.time, at_ns, Way.RESENT if resent else Way.RECEIVED)
        usable = [Usable(seq, block.time, block.payload)]
        solved = self._solver.block(seq, block.time, block.payload)
        return usable + self._solved(solved, at_ns) if solved else usable

    def repair(self, piece: RepairPiece, at_ns: int) -> list[Usable]:
        """A repair row came: gives what it solves."""
        solved = self._solver.repair(piece.seq, piece.width, piece.sum)
        return self._solved(solved, at_ns) if solved else []

    def finish(self) -> None:
        """Nothing more will come: settles the counters."""
        self.repaired += len(self._solved_ns)
        self._solved_ns.clear()

    def set_clock(self, clock: ServerClock) -> None:
        """The server's clock was measured."""
        self._clock = clock
        self._timers.set_round_trip(srtt_ns=clock.srtt_ns, rto_ns=clock.rto_ns)

    def set_capture(self, capture: CaptureTime) -> None:
        """The server told when a frame was captured."""
        known = self._capture
        if known is not None and self._begun_ns(capture) > self._begun_ns(known) + PAUSED_NS:
            self._captures.clear()
        # A device that calls late tells a time that is late: the earliest is the true one.
        self._captures.append(capture)
        self._capture = min(self._captures, key=self._begun_ns)

    def _begun_ns(self, capture: CaptureTime) -> int:
        """When the stream began, as this one has it, by the server's clock."""
        return capture.captured_ns - self._format.frames_to_ns(capture.time - self._first_time)

    def delay(self, time: int, leaves_ns: int, device_ns: int) -> Delay | None:
        """The delay of frame `time`, which leaves the playout at `leaves_ns` and is heard
        `device_ns` later. None until both clocks and a capture time are known."""
        fastest_ns = self._target.fastest_ns
        if self._capture is None or self._clock is None or fastest_ns is None:
            return None
        captured_ns = self._captured_ns(time)
        block_ns = self._format.block_ns
        network_ns = max(0, fastest_ns - self._captured_ns(self._first_time) - block_ns)
        buffer_ns = max(0, leaves_ns - captured_ns - block_ns - network_ns)
        return Delay(
            capture_ns=block_ns, network_ns=network_ns, buffer_ns=buffer_ns, device_ns=device_ns
        )

    def _captured_ns(self, time: int) -> int:
        """When a frame was captured, by our clock."""
        assert self._capture is not None and self._clock is not None
        since_ns = self._format.frames_to_ns(time - self._capture.time)
        return self._capture.captured_ns + since_ns - self._clock.offset_ns

    def set_playout(self, seq: int, due_ns: int | None) -> None:
        """Block `seq` is played at `due_ns`, or whenever it comes: blocks before it are
        not wanted any more."""
        self._timers.set_playout(seq, due_ns)
        self._solver.forget_before(seq)

    def timeout_ns(self) -> int | None:
        """When `requests` has something to say."""
        return self._timers.timeout_ns()

    def requests(self, now_ns: int) -> list[Request]:
        """What to ask the sender for now."""
        return self._timers.handle_timeout(now_ns)

    def _solved(self, solved: list[tuple[int, int, bytes]], at_ns: int) -> list[Usable]:
        usable = [Usable(*block) for block in solved if self._fits(block[2])]
        for seq, time, _ in usable:
            self._timers.repaired(seq)
            if seq not in self._usable:
                self._solved_ns[seq] = at_ns
                self._note(seq, time, at_ns, Way.REPAIRED)
        return usable

    def _fits(self, payload: bytes) -> bool:
        """Whether it can be played: a false row may give anything."""
        size = len(payload) - self._seal_bytes
        return size >= 0 and fits(payload[:size], self._format)

    def _count_repaired(self, now_ns: int) -> None:
        """Counts the blocks that have not come by themselves in all the time they had."""
        while self._solved_ns:
            seq = next(iter(self._solved_ns))
            if now_ns - self._solved_ns[seq] < OVERTAKEN_NS:
                return
            del self._solved_ns[seq]
            self.repaired += 1

    def _note(self, seq: int, time: int, at_ns: int, way: Way) -> None:
        """A block came first. Only that way counts: it was usable from then on."""
        self._usable[seq] = way is Way.RECEIVED
        if len(self._usable) > 2 * self._remembered_blocks:
            kept = max(self._usable) - self._remembered_blocks
            self._usable = {each: own for each, own in self._usable.items() if each > kept}
        media_ns = (time - self._first_time) * NS_PER_S // self._format.rate
        self._target.usable(at_ns - media_ns, at_ns, way)


def fits(payload: bytes, fmt: Format) -> bool:
    """Whether a payload is whole frames, and no more than a block of them."""
    return len(payload) <= fmt.block_bytes and len(payload) % fmt.frame_bytes == 0
