"""What a client hears, and its sink."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from echowarp.app.pulled_playback import PERIODS
from echowarp.app.reception import Delay, Reception, ServerClock, Usable
from echowarp.media.pull_line import PullLine
from echowarp.media.pulled_playout import PulledPlayout, State
from echowarp.media.pushed_playout import PushedPlayout
from echowarp.media.target import AUTO, Policy
from echowarp.session.inbox import Block
from echowarp.session.streams import StreamTracker
from echowarp.wire.serial import unwrap
from tests.simulator.clock import MS, Clock, S
from tests.simulator.server import FMT, SimServer


@dataclass(kw_only=True)
class Hearing(ABC):
    """The half of a client that has a sink: a file, or a card with a clock of its own."""

    clock: Clock
    server: SimServer
    card_ppm: float | None = None
    latency: Policy | int = AUTO
    card_stands: Callable[[int], bool] = lambda now_ns: False
    """Whether the card takes nothing at that time."""
    sleeps: Callable[[int], bool] = lambda now_ns: False
    """Whether the client's machine stands still: no timer, no card, nothing arrives."""
    recording: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self.tracker: StreamTracker | None = None
        self.pushed: PushedPlayout | None = None
        self.pulled: PulledPlayout | None = None
        self.reception: Reception | None = None
        self.server_clock: ServerClock | None = None
        self.line = PullLine(FMT)
        self.delays: list[tuple[Delay, int]] = []
        """As told, and as it was, ns: once a second, on a card."""
        self.pulls: list[tuple[int, int]] = []
        """When the card pulled, and how many frames it had had by then."""
        self.waking_ns: int | None = None
        if self.card_ppm is not None:
            self.clock.at(0, self.on_card)

    @property
    @abstractmethod
    def running(self) -> bool:
        """Whether there is a connection."""

    @abstractmethod
    def ask(self, reception: Reception) -> None:
        """Asks the server for what is missing."""

    @abstractmethod
    def pump(self) -> None:
        """Does what the connection needs."""

    def on_block(self, block: Block, now_ns: int) -> None:
        if self.reception is None:
            self.start(block, now_ns)
        assert self.reception is not None
        self.play(self.reception.block(block, now_ns), None if block.resent else block.seq)

    def start(self, block: Block, now_ns: int) -> None:
        first_seq = block.first_seq
        first_time = block.time - (block.seq - first_seq) * FMT.block_frames
        self.reception = Reception(
            FMT,
            first_seq=first_seq,
            first_time=first_time,
            latency=self.latency,
            period_ns=0 if self.card_ppm is None else PERIODS * FMT.block_ns,
            now_ns=now_ns,
        )
        if self.server_clock is not None:
            self.reception.set_clock(self.server_clock)
        target_ns = self.reception.target_ns
        if self.card_ppm is None:
            self.pushed = PushedPlayout(
                FMT,
                first_seq=first_seq,
                first_time=first_time,
                patience_ns=target_ns,
                now_ns=now_ns,
            )
        else:
            self.pulled = PulledPlayout(
                FMT,
                first_seq=first_seq,
                first_time=first_time,
                target_ns=target_ns,
                fixed=isinstance(self.latency, int),
                line=self.line,
                now_ns=now_ns,
            )

    def play(self, usable: Iterable[Usable], original: int | None) -> None:
        now_ns = self.clock.now_ns
        assert self.reception is not None
        for block in usable:
            if self.pulled is not None:
                by_itself = block.seq == original
                self.pulled.put(block.seq, block.time, block.payload, now_ns, by_itself=by_itself)
            elif self.pushed is not None:
                self.pushed.set_patience(self.reception.target_ns)
                for pcm in self.pushed.put(block.seq, block.time, block.payload, now_ns):
                    self.recording += pcm
        self.clock.at(now_ns + S, self.on_push_timer)

    def request(self) -> None:
        """Asks for what is missing. A card does so when it pulls, a file at once."""
        reception, now_ns = self.reception, self.clock.now_ns
        if reception is None or not self.running:
            return
        if self.card_ppm is None:
            self.ask(reception)
            due_ns = reception.timeout_ns()
            if due_ns is not None and (self.waking_ns is None or due_ns < self.waking_ns):
                self.waking_ns = max(due_ns, now_ns + MS // 10)
                self.clock.at(self.waking_ns, self.on_request_timer)

    def on_request_timer(self) -> None:
        self.waking_ns = None
        self.request()

    def on_push_timer(self) -> None:
        if self.pushed is not None:
            for pcm in self.pushed.handle_timeout(self.clock.now_ns):
                self.recording += pcm
            self.pump()

    def on_card(self) -> None:
        assert self.card_ppm is not None
        period_ns = round(FMT.block_ns / (1 + self.card_ppm / 1e6))
        self.clock.at(self.clock.now_ns + period_ns, self.on_card)
        if self.card_stands(self.clock.now_ns) or self.sleeps(self.clock.now_ns):
            return
        now_ns, pulled, reception = self.clock.now_ns, self.pulled, self.reception
        if pulled is not None and reception is not None:
            pulled.set_target(reception.target_ns)
            self.pulls.append((now_ns, len(self.recording) // FMT.frame_bytes))
            self.recording += pulled.pull(FMT.block_frames, now_ns)
            self.line.pulled(FMT.block_frames, now_ns)
            reception.set_playout(pulled.next_seq, pulled.due_ns())
            self.ask(reception)
            self.note_delay(pulled, reception)
        else:
            self.line.pulled(FMT.block_frames, now_ns)

    def note_delay(self, pulled: PulledPlayout, reception: Reception) -> None:
        now_ns = self.clock.now_ns
        if pulled.state is not State.PLAYING or now_ns < (len(self.delays) + 1) * S:
            return
        leaves_ns = self.line.leaves_ns(self.line.frames)
        told = reception.delay(pulled.position, leaves_ns, 0)
        if told is not None:
            # As in `World.stream`: a block is sent a block after its first frame.
            frames = pulled.position - unwrap(self.server.first_time, pulled.position)
            captured_ns = self.server.begun_ns - FMT.block_ns + FMT.frames_to_ns(frames)
            self.delays.append((told, leaves_ns - captured_ns))
