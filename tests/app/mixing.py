"""A mix under a virtual clock: talkers with clocks of their own, and a card that pulls."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from itertools import count

from echowarp.app.mixed_playback import MixedPlayback
from echowarp.app.reception import CaptureTime, ServerClock
from echowarp.app.talker_mix import MixListener
from echowarp.media.format import NS_PER_S, Format
from echowarp.media.resampler import Resampler
from echowarp.media.target import Policy
from echowarp.session.inbox import Block
from echowarp.wire.feedback import Request

MS = 1_000_000
S = NS_PER_S
STEREO = Format(rate=48_000, channels=2, block_frames=240)
MONO = Format(rate=48_000, channels=1, block_frames=240)
LATENCY_NS = 40 * MS


@cache
def noise(seed: int, size: int, peak: int = 8_000) -> bytes:
    rng = random.Random(seed)
    return b"".join(
        rng.randint(-peak, peak).to_bytes(2, "little", signed=True) for _ in range(size // 2)
    )


@dataclass
class Talking:
    """A talker whose clock is `ppm` fast, whose block k leaves at begin_ns + k blocks.

    sound: of block k, b"" for silence, None for one that never comes; unsaid: whether that
    is because it was not sent at all, and has no number.
    """

    user: int
    fmt: Format = STEREO
    ppm: float = 0.0
    begin_ns: int = 0
    way_ns: int = 5 * MS
    jitter_ns: int = 0
    blocks: int | None = None
    sound: Callable[[int], bytes | None] = b"".__mul__
    unsaid: bool = False
    seq: int = 0
    sent: int = 0
    due_ns: float = 0.0
    rng: random.Random = field(default_factory=lambda: random.Random(1))

    def __post_init__(self) -> None:
        self.due_ns = self.begin_ns + self.fmt.block_ns

    @property
    def stream(self) -> str:
        return f"stream of {self.user}"

    def come(self, until_ns: int) -> Iterable[tuple[int, Block]]:
        while self.due_ns + self.way_ns <= until_ns and self.sent != self.blocks:
            k, at_ns = self.sent, round(self.due_ns) + self.way_ns
            if self.jitter_ns:
                at_ns += self.rng.randrange(self.jitter_ns)
            self.sent += 1
            self.due_ns += self.fmt.block_frames / self.fmt.rate * S / (1 + self.ppm / 1e6)
            payload = self.sound(k)
            if payload is not None:
                yield (
                    at_ns,
                    Block(self.stream, self.seq, k * self.fmt.block_frames, payload, 0, False),
                )
            self.seq += payload is not None or not self.unsaid


class Card:
    """A sink that the test pulls."""

    def __init__(self) -> None:
        self.pull: Callable[[int], bytes] | None = None
        self.opened: list[Format] = []
        self.error: Exception | None = None
        self.latency_ns = 0

    def open(self, fmt: Format) -> Card:
        self.opened.append(fmt)
        return self

    def start(self, pull: Callable[[int], bytes], failed: Callable[[BaseException], None]) -> None:
        self.pull = pull

    def delay_ns(self) -> int:
        return self.latency_ns

    def stop(self) -> None:
        self.pull = None
        if self.error is not None:
            raise self.error


class Stage:
    """A mix of `fmt`, a card that takes a block of it each block time, and talkers."""

    def __init__(
        self,
        fmt: Format = STEREO,
        *,
        latency: Policy | int = LATENCY_NS,
        opener: Callable[[object, int, int, bytes], bytes | None] | None = None,
        new_resampler: Callable[[Format], Resampler] = Resampler,
        keep: bool = True,
    ) -> None:
        self.fmt = fmt
        self.now_ns = 0
        self.out = bytearray()
        self.pulls = 0
        self.card = Card()
        self.talking: list[Talking] = []
        self.wanted: dict[object, set[int]] = {}
        self.completed: list[object] = []
        self.played_out: list[object] = []
        self.failures: list[BaseException] = []
        self._keep = keep
        self._under_way: list[tuple[int, int, Block]] = []
        self._order = count()
        self.playback = MixedPlayback(
            self.card.open,
            fmt=fmt,
            latency=latency,
            listener=MixListener(
                wanted=self._want,
                failed=self.failures.append,
                completed=self.completed.append,
                played_out=self.played_out.append,
            ),
            opener=opener or (lambda stream, seq, time, payload: payload),
            monotonic_ns=lambda: self.now_ns,
            new_resampler=new_resampler,
        )
        self.playback.clock(ServerClock(srtt_ns=10 * MS, rto_ns=30 * MS, offset_ns=0))

    def _want(self, stream: object, requests: list[Request]) -> None:
        seqs = {each.seq + k for each in requests for k in each.offsets()}
        self.wanted.setdefault(stream, set()).update(seqs)

    def hear(self, *talking: Talking, sealed: bool = False) -> None:
        for each in talking:
            self.talking.append(each)
            self.playback.hear(each.stream, each.user, each.fmt, continued=False, sealed=sealed)
            self.playback.capture(each.stream, CaptureTime(time=0, captured_ns=each.begin_ns))

    def run(self, seconds: float) -> bytes:
        """Lets so many seconds pass; gives what was played in them."""
        begin = len(self.out)
        for _ in range(round(seconds * S / self.fmt.block_ns)):
            self.now_ns = self.pulls * self.fmt.block_ns
            self._let_come()
            assert self.card.pull is not None
            pcm = self.card.pull(self.fmt.block_frames)
            assert len(pcm) == self.fmt.block_bytes
            self.pulls += 1
            if self._keep:
                self.out += pcm
        return bytes(self.out[begin:])

    def _let_come(self) -> None:
        for talker in self.talking:
            for at_ns, block in talker.come(self.now_ns):
                heapq.heappush(self._under_way, (at_ns, next(self._order), block))
        while self._under_way and self._under_way[0][0] <= self.now_ns:
            at_ns, _, block = heapq.heappop(self._under_way)
            self.playback.arrived(block, at_ns)
