"""A stream under a virtual clock: one server, one client, and what lies between them.

Sender, network and listener decide as in the program, with its own objects; sockets,
threads and real time are left out. The same seed gives the same run. Blocks have few
samples, all have the same ones, and nothing is heard: delay, repair and requests depend
on the number of blocks and on the clocks alone.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Iterable
from typing import TypeVar

from echowarp.app.impairment import ImpairedPath
from echowarp.app.playback import Listener
from echowarp.app.pulled_playback import PulledPlayback
from echowarp.app.reception import CaptureTime, Delay, ServerClock
from echowarp.app.run_client import latency_of
from echowarp.app.target_words import target_line
from echowarp.app.verdict import Figures
from echowarp.app.virtual_time import VirtualTime
from echowarp.config.impair import Impairment
from echowarp.config.settings import Settings
from echowarp.crypto.schedule import SessionKeys
from echowarp.crypto.suite import Suite, cipher_for_audio
from echowarp.media.format import NS_PER_S, Format
from echowarp.media.repair import RepairEncoder
from echowarp.media.resampler import SilentResampler
from echowarp.session.broadcast import SERVER_STREAM, Broadcast, Outgoing
from echowarp.session.clock import ClockExchange
from echowarp.session.datagrams import DatagramSender
from echowarp.session.inbox import Block, ClientInbox, RepairPiece
from echowarp.session.reports import REPORT_INTERVAL_NS
from echowarp.session.streams import begin
from echowarp.wire.feedback import ClockAnswer, ClockAsk, Report, ReportEntry, Request
from echowarp.wire.records import Stream

RATE = 8_000
CARD_PPM = 50
"""The card is so much faster than the server's clock: what cheap crystals do."""
PLAY_OUT_NS = 3 * NS_PER_S
CONNECTION = 1
ToldT = TypeVar("ToldT")
PROGRESS_NS = 10 * NS_PER_S
"""The live line is drawn anew so often, by the virtual clock: several times a second."""


class _Card:
    """A sink that is pulled by whoever holds it."""

    def __init__(self) -> None:
        self.pull: Callable[[int], bytes] | None = None

    def start(self, pull: Callable[[int], bytes], failed: Callable[[BaseException], None]) -> None:
        """From now on there is somebody to pull from."""
        self.pull = pull

    def delay_ns(self) -> int:
        """What it takes is heard at once."""
        return 0

    def stop(self) -> None:
        """Pulls no more."""
        self.pull = None


class Simulation:
    """One server, one client, and the paths between them.

    tell: is called now and then with how many seconds of the stream are done.
    """

    def __init__(
        self,
        settings: Settings,
        impairment: Impairment,
        fmt: Format,
        duration_s: float,
        tell: Callable[[float], None],
    ) -> None:
        self._time = VirtualTime()
        self._at = self._time.at
        self._tell = tell
        self._format = fmt
        self._blocks = max(1, round(duration_s * NS_PER_S) // fmt.block_ns)
        # Loud, for what is quiet may be left out.
        self._payload = random.Random(impairment.seed).randbytes(fmt.block_bytes)
        self._down = ImpairedPath(impairment, "down")
        self._up = ImpairedPath(impairment, "up")
        self._tcp_ns = round(impairment.delay_ms * 1e6)
        keys = self._keys()
        self._broadcast: Broadcast[int] = Broadcast(
            first_seq=0, first_time=0, block_ns=fmt.block_ns, rows=RepairEncoder()
        )
        sender = DatagramSender(cipher=cipher_for_audio(Suite.NONE, keys), session=keys.session)
        self._broadcast.add(CONNECTION, sender, 0)
        self._inbox = ClientInbox(keys=keys, suite=Suite.NONE)
        self._clock = ClockExchange(0)
        self._delays: list[Delay] = []
        self._card = _Card()
        self._card_ns = 0.0
        self._playback = PulledPlayback(
            lambda fmt: self._card,
            latency=latency_of(settings),
            limit_s=None,
            listener=Listener(
                completed=lambda: None,
                played_out=self._time.stop,
                wanted=self._request,
                enough=lambda: None,
                failed=self._fail,
            ),
            monotonic_ns=lambda: self._time.now_ns,
            new_resampler=SilentResampler,
        )

    @staticmethod
    def _keys() -> SessionKeys:
        secrets = [bytes([n]) * 32 for n in range(5)]
        return SessionKeys(
            control_client=secrets[0],
            control_server=secrets[1],
            udp_client=secrets[2],
            audio_hmac=secrets[3],
            audio_gcm=secrets[4],
            session=bytes(8),
        )

    def run(self) -> Figures:
        """From the first block to the last sound."""
        fmt = self._format
        stream = Stream(
            stream=SERVER_STREAM,
            codec=0,
            rate=fmt.rate,
            channels=fmt.channels,
            block=fmt.block_frames,
            seq=0,
            time=0,
            user=0,
        )
        tracker = begin(stream, 0)
        self._inbox.announce(SERVER_STREAM, tracker)
        self._broadcast.open(CONNECTION, CONNECTION)
        self._playback.begin(fmt, continued=False, stream=tracker)
        self._at(0, self._pull)
        self._at(fmt.block_ns, self._send_block)
        self._at(0, self._ask_clock)
        self._at(self._tcp_ns, self._anchor)
        self._at(REPORT_INTERVAL_NS, self._report)
        self._at(PROGRESS_NS, self._show_progress)
        end_ns = self._blocks * fmt.block_ns + self._tcp_ns + PLAY_OUT_NS
        self._time.run(end_ns)
        self._playback.close(lambda: True)
        return self.figures()

    @property
    def done_s(self) -> float:
        """How many seconds of the stream have been sent."""
        return self._broadcast.seq * self._format.block_ns / NS_PER_S

    def _show_progress(self) -> None:
        self._tell(self.done_s)
        self._at(self._time.now_ns + PROGRESS_NS, self._show_progress)

    # The server.

    def _send_block(self) -> None:
        fmt = self._format
        self._send(self._broadcast.block(self._payload, frames=fmt.block_frames, lost_frames=0))
        if self._broadcast.seq < self._blocks:
            self._at(self._time.now_ns + fmt.block_ns, self._send_block)
        else:
            self._at(self._time.now_ns + self._tcp_ns, self._playback.end, self._blocks)

    def _send(self, outgoing: Iterable[Outgoing[int]]) -> None:
        for _, _, datagram in outgoing:
            for delay_ns in self._down.delays_ns():
                self._at(self._time.now_ns + delay_ns, self._receive, datagram)

    def _anchor(self) -> None:
        # Told when it has come: the time of a block's first frame is its number of blocks.
        seq = max(0, (self._time.now_ns - self._tcp_ns) // self._format.block_ns)
        captured_ns = seq * self._format.block_ns
        self._playback.capture(
            CaptureTime(time=seq * self._format.block_frames, captured_ns=captured_ns)
        )
        self._at(self._time.now_ns + NS_PER_S, self._anchor)

    def _answer_request(self, request: Request) -> None:
        self._send(self._broadcast.request(CONNECTION, request, self._time.now_ns))

    def _take_report(self, told: Report) -> None:
        self._broadcast.report(CONNECTION, told, self._time.now_ns)

    def _answer_clock(self, ask: ClockAsk) -> None:
        now_ns = self._time.now_ns
        self._send(self._broadcast.clock(CONNECTION, ask, received_ns=now_ns, now_ns=now_ns))

    # The client.

    def _receive(self, datagram: bytes) -> None:
        arrival = self._inbox.receive(datagram, self._time.now_ns)
        if isinstance(arrival, Block):
            self._playback.arrived(arrival, self._time.now_ns)
        elif isinstance(arrival, RepairPiece):
            self._playback.row(arrival, self._time.now_ns)
        elif isinstance(arrival, ClockAnswer):
            self._take_clock(arrival)

    def _take_clock(self, answer: ClockAnswer) -> None:
        self._clock.receive(answer, self._time.now_ns)
        srtt_ns, offset_ns = self._clock.srtt_ns, self._clock.offset_ns
        if srtt_ns is not None and offset_ns is not None:
            rto_ns = self._clock.rto_ns
            self._playback.clock(ServerClock(srtt_ns=srtt_ns, rto_ns=rto_ns, offset_ns=offset_ns))

    def _pull(self) -> None:
        if self._card.pull is not None:
            self._card.pull(self._format.block_frames)
            self._card_ns += self._format.block_ns / (1 + CARD_PPM / 1e6)
            self._at(round(self._card_ns), self._pull)

    def _request(self, requests: list[Request]) -> None:
        for request in requests:
            self._feed_back(self._answer_request, request)

    def _report(self) -> None:
        self._at(self._time.now_ns + REPORT_INTERVAL_NS, self._report)
        snapshot = self._playback.snapshot
        tally = self._inbox.receipts.tally(self._time.now_ns, snapshot.guard_ns)
        if tally is not None:
            entry = ReportEntry(SERVER_STREAM, snapshot.guard_ns, snapshot.target_ns)
            told = Report(*tally, self._clock.rto_ns, (entry,))
            self._feed_back(self._take_report, told)
        if snapshot.delay is not None:
            self._delays.append(snapshot.delay)

    def _ask_clock(self) -> None:
        ask = self._clock.handle_timeout(self._time.now_ns)
        if ask is not None:
            self._feed_back(self._answer_clock, ask)
        self._at(self._clock.timeout_ns(), self._ask_clock)

    def _feed_back(self, receive: Callable[[ToldT], None], told: ToldT) -> None:
        for delay_ns in self._up.delays_ns():
            self._at(self._time.now_ns + delay_ns, receive, told)

    def _fail(self, error: BaseException) -> None:
        raise error

    def figures(self) -> Figures:
        """What was measured until now."""
        snapshot, counters = self._playback.snapshot, self._playback.snapshot.counters
        extra = self._broadcast.rows_sent + self._broadcast.blocks_resent

        def median_ms(part: Callable[[Delay], int]) -> float:
            return statistics.median(map(part, self._delays)) / 1e6

        return Figures(
            blocks=self._broadcast.seq,
            # Where not one block came there is no sound in which any could be missing.
            concealed=counters.concealed if counters.received else self._broadcast.seq,
            repaired=snapshot.repaired,
            resent=snapshot.resent,
            overhead=extra / max(1, self._broadcast.blocks_sent),
            delay_ms=median_ms(lambda delay: delay.total_ns) if self._delays else None,
            delay_parts_ms={
                "capture": median_ms(lambda delay: delay.capture_ns),
                "network": median_ms(lambda delay: delay.network_ns),
                "buffer": median_ms(lambda delay: delay.buffer_ns),
                "device": median_ms(lambda delay: delay.device_ns),
            }
            if self._delays
            else {},
            target_ms=snapshot.target_ns / 1e6,
            reason=self._reason(),
            drift_ppm=snapshot.drift_ppm,
        )

    def _reason(self) -> str:
        snapshot = self._playback.snapshot
        if snapshot.reason is None:
            return ""
        tally = self._inbox.receipts.tally(self._time.now_ns, 0)
        return target_line(
            snapshot.reason,
            target_ns=snapshot.target_ns,
            guard_ns=snapshot.guard_ns,
            rto_ns=self._clock.rto_ns,
            loss=0.0 if tally is None else 1 - tally.received / (tally.highest + 1),
        )
