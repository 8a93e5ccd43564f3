"""One connection of a client: TCP, UDP and the session on top of them."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue

from echowarp.app.datagram_link import DatagramLink
from echowarp.app.ears import Ears
from echowarp.app.reception import CaptureTime
from echowarp.app.talk import Talk
from echowarp.crypto.limits import NumbersSpent
from echowarp.crypto.suite import Suite
from echowarp.errors import ProtocolError
from echowarp.media.format import NS_PER_S
from echowarp.net.client_link import TcpLink
from echowarp.net.waker import Waker
from echowarp.session.broadcast import SERVER_STREAM
from echowarp.session.client_session import ClientEvent, ClientSession, Ended, Started
from echowarp.session.clock import ClockExchange
from echowarp.session.endpoint import Received
from echowarp.session.streams import StreamTracker
from echowarp.wire.feedback import Request
from echowarp.wire.records import Anchor, End, EndReason, Stream, UdpOk
from echowarp.wire.serial import unwrap

log = logging.getLogger(__name__)

LIVED_NS = 10 * NS_PER_S
"""A session without a stream that lasted so long counts as one that played."""


@dataclass(slots=True, kw_only=True)
class Status:
    """What is shown of a client, over all its connections."""

    state: str = "connecting"
    suite: Suite | None = None
    udp_warned: bool = False


class Connection:
    """One TCP connection with its UDP socket, on the client's control thread."""

    def __init__(
        self,
        sock: socket.socket,
        waker: Waker,
        *,
        session: ClientSession,
        ears: Ears,
        talk: Talk | None,
        status: Status,
        read_bytes: int,
        spawn: Callable[[str, Callable[[], None]], object],
        stopping: threading.Event,
    ) -> None:
        self.session = session
        self.played = False
        self._ears = ears
        self._talk = talk
        self._status = status
        self._read_bytes = read_bytes
        self._spawn = spawn
        self._stopping = stopping
        self._link = TcpLink(sock, waker)
        self._begun_ns = time.monotonic_ns()
        self._waker = waker
        self._datagrams: DatagramLink | None = None
        self._streams: dict[int, StreamTracker] = {}
        self._ended: Ended | None = None
        self._open_ends: dict[int, End] = {}
        """The ends of streams that are not settled yet."""
        self._settled: SimpleQueue[object] = SimpleQueue()

    @property
    def rejected(self) -> int:
        """Datagrams dropped on this connection."""
        return 0 if self._datagrams is None else self._datagrams.inbox.rejected

    @property
    def repeated(self) -> int:
        """Datagrams that came more than once on this connection."""
        return 0 if self._datagrams is None else self._datagrams.inbox.repeated

    @property
    def received_bytes(self) -> int:
        """UDP payload that came on this connection."""
        return 0 if self._datagrams is None else self._datagrams.received_bytes

    @property
    def loss(self) -> float:
        """Share of the packets of the last seconds that were lost."""
        return 0.0 if self._datagrams is None else self._datagrams.loss

    @property
    def clock(self) -> ClockExchange | None:
        """The server's clock, once there is a session."""
        return None if self._datagrams is None else self._datagrams.clock

    def request(self, tracker: object, requests: list[Request]) -> None:
        """Asks the server for blocks of a stream. From any thread."""
        if self._datagrams is not None:
            self._datagrams.request(tracker, requests)

    def settled(self, tracker: object) -> None:
        """Every block of a stream that ended is settled. From any thread."""
        self._settled.put(tracker)

    def run(self) -> Ended:
        """Pumps until the connection is over."""
        try:
            return self._pump()
        except BaseException:
            # A device or a file has failed: the server should not have to guess.
            self.session.close(time.monotonic_ns())
            self._link.send(self.session.to_send())
            raise

    def _pump(self) -> Ended:
        session = self.session
        while self._ended is None:
            data = self._link.wait(self._due_ns(), self._read_bytes)
            now_ns = time.monotonic_ns()
            if data:
                session.receive(data, now_ns)
            elif data is not None:
                session.receive_eof(now_ns)
            session.handle_timeout(now_ns)
            if self._stopping.is_set() or (self._talk is not None and self._talk.is_over):
                session.close(now_ns)
            for event in session.events():
                self._on_event(event, now_ns)
            try:
                self._act(now_ns)
            except NumbersSpent:
                # After 2^32 datagrams of ours. The next session has new keys.
                session.receive_eof(now_ns)
            self._link.send(session.to_send())
        datagrams = self._datagrams
        if datagrams is not None:
            # A server without a source has nothing to play; its session counts by its age.
            lived = now_ns - self._begun_ns >= LIVED_NS
            self.played = datagrams.audio_ns is not None or (lived and not self._streams)
        return self._ended

    def close(self) -> None:
        """Closes both sockets."""
        self._link.close()
        if self._datagrams is not None:
            self._datagrams.close()

    def _due_ns(self) -> int:
        due = [self.session.timeout_ns()]
        if self.session.closed:
            # Its last event may have come after the others were looked at.
            due.append(time.monotonic_ns())
        if self._datagrams is not None:
            due.append(self._datagrams.timeout_ns())
        if self._talk is not None:
            due.append(self._talk.timeout_ns())
        return min(d for d in due if d is not None)

    def _on_event(self, event: ClientEvent, now_ns: int) -> None:
        if isinstance(event, Started):
            self._on_started(event, now_ns)
        elif isinstance(event, Received):
            self._on_record(event, now_ns)
        else:
            self._ended = event

    def _on_started(self, started: Started, now_ns: int) -> None:
        self._status.state = "connected"
        self._status.suite = started.suite
        log.info("connected; audio protection: %s", started.suite.label)
        if started.suite is Suite.NONE:
            log.warning(
                "the audio itself is neither encrypted nor signed: start the server "
                "with --ssl to change that"
            )
        try:
            udp = self._link.open_udp()
        except OSError:
            # The connection, or the network, went away in this moment.
            self.session.receive_eof(now_ns)
            return
        self._datagrams = DatagramLink(
            udp,
            started,
            ears=self._ears,
            read_bytes=self._read_bytes,
            wake=self._waker.wake,
            now_ns=now_ns,
        )
        if self._talk is not None:
            self._talk.begin(started, self._datagrams, now_ns)
        self._spawn("udp", self._datagrams.receive)

    def _on_record(self, event: Received, now_ns: int) -> None:
        record, talk = event.record, self._talk
        if talk is not None and talk.receive(record, now_ns):
            return
        if isinstance(record, Stream):
            self._on_stream(record, now_ns)
        elif isinstance(record, UdpOk) and self._datagrams is not None:
            self._datagrams.udp_ok(now_ns)
        elif isinstance(record, Anchor) and record.stream in self._streams:
            tracker = self._streams[record.stream]
            time_frames = unwrap(record.time, tracker.newest.time)
            capture = CaptureTime(time=time_frames, captured_ns=record.captured)
            self._ears.captured(tracker, capture)
        elif isinstance(record, End) and record.stream in self._streams:
            tracker = self._streams[record.stream]
            self._open_ends[record.stream] = record
            try:
                self._ears.ended(tracker, tracker.place_end(record.seq, now_ns))
            except ProtocolError as error:
                self.session.refuse(str(error))

    def _on_stream(self, stream: Stream, now_ns: int) -> None:
        try:
            tracker = self._ears.announced(stream, now_ns)
        except ProtocolError as error:
            self.session.refuse(str(error))
            return
        self._streams[stream.stream] = tracker
        self._open_ends.pop(stream.stream, None)
        if self._datagrams is not None:
            self._datagrams.announce(stream.stream, tracker)

    def _act(self, now_ns: int) -> None:
        """Sends what is due, by UDP and TCP, and answers to an END whose stream is settled."""
        datagrams = self._datagrams
        if datagrams is not None and self._ended is None:
            datagrams.act(now_ns)
            if datagrams.unheard_for_long(now_ns):
                self._warn_of_udp()
            if datagrams.audio_ns is not None:
                self._status.state = "playing"
        if self._talk is not None and self._ended is None:
            self._talk.act(now_ns)
            for record in self._talk.to_send():
                self.session.send(record, now_ns)
        while not self._settled.empty():
            self._answer_end(self._settled.get(), now_ns)

    def _answer_end(self, tracker: object, now_ns: int) -> None:
        """A stream that ended is settled. The server waits to be told so of its own."""
        for stream, each in self._streams.items():
            if each is tracker and stream in self._open_ends:
                end = self._open_ends.pop(stream)
                if stream == SERVER_STREAM:
                    answer = End(stream=stream, seq=end.seq, reason=EndReason.STOPPED)
                    self.session.send(answer, now_ns)

    def _warn_of_udp(self) -> None:
        """Says once that datagrams do not get through."""
        if not self._status.udp_warned:
            self._status.udp_warned = True
            log.warning(
                "connected, but the server does not hear our UDP packets: let its UDP port, "
                "the same number as its TCP port, through the firewalls in between"
            )
