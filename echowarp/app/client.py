"""The client: connects, plays, reconnects. Wires session, sockets and playback."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from queue import SimpleQueue
from typing import NoReturn

from echowarp.app.playback import Playback
from echowarp.app.supervisor import Supervisor
from echowarp.app.words import FALSE_SERVER, client_words
from echowarp.config.settings import Settings
from echowarp.crypto.suite import Suite, cipher_for_client
from echowarp.errors import ConnectError, RefusedError
from echowarp.media.format import NS_PER_S, Format
from echowarp.net.client_link import TcpLink, connect, receive_datagram, send_datagram
from echowarp.net.waker import Waker
from echowarp.session.client_session import (
    ClientEvent,
    ClientSession,
    Ended,
    Received,
    Started,
)
from echowarp.session.datagrams import DatagramSender
from echowarp.session.inbox import ClientInbox
from echowarp.session.prober import Prober
from echowarp.session.reconnect import GiveUp, Outcome, Reconnector
from echowarp.session.streams import StreamTracker, begin, resume
from echowarp.wire.codes import Code
from echowarp.wire.datagram import DatagramType
from echowarp.wire.records import End, EndReason, Stream, UdpOk
from echowarp.wire.serial import unwrap

log = logging.getLogger(__name__)

PLAY_OUT_S = 3.0
"""How long the last sound of a finished stream may take to leave the device."""
LIVED_NS = 10 * NS_PER_S
"""A session that lasted so long counts as one that played, stream or not."""
UDP_PATIENCE_NS = 5 * NS_PER_S
"""Without an answer to our datagrams for so long, a firewall is the likely cause."""


class Client:
    """Runs one client. `run` is the control thread's; the rest is safe from any.

    prs: the encoded password.
    """

    def __init__(
        self, settings: Settings, prs: bytes, playback: Playback, supervisor: Supervisor
    ) -> None:
        assert settings.server_address is not None
        self._host, self._port = settings.server_address, settings.udp_port
        self._read_bytes = settings.socket_buffer_size
        self._prs = prs
        self._playback = playback
        self._supervisor = supervisor
        self._waker = Waker()
        self._reconnector = Reconnector(
            attempts=settings.reconnect_attempt, random_bytes=os.urandom
        )
        self._stopping = threading.Event()
        self._tracker: StreamTracker | None = None
        self._connection: Connection | None = None
        self._udp_warned = False
        self._past_rejected = 0
        self.received_bytes = 0
        """UDP payload received, over all connections."""
        self.state = "connecting"
        self.suite: Suite | None = None

    @property
    def rtt_ns(self) -> int | None:
        """Round trip of the control channel."""
        connection = self._connection
        return None if connection is None else connection.session.rtt_ns

    @property
    def jitter_ns(self) -> float | None:
        """Smoothed interarrival jitter of the stream, None before there is one."""
        return None if self._tracker is None else self._tracker.jitter_ns

    @property
    def rejected(self) -> int:
        """Datagrams dropped: forged, replayed or malformed."""
        connection = self._connection
        return self._past_rejected + (0 if connection is None else connection.inbox_rejected)

    def completed(self) -> None:
        """The playback has settled every block of a stream that ended."""
        connection = self._connection
        if connection is not None:
            connection.answer_end()
            self._waker.wake()

    @property
    def stopping(self) -> bool:
        """Whether goodbye is to be said."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Has `run` say goodbye and return. From any thread."""
        self._stopping.set()
        self._waker.wake()

    def run(self) -> None:
        """Connects again and again until finished, stopped or refused."""
        while not self.stopping:
            outcome, detail = self._attempt()
            if self.stopping:
                return
            if outcome.code == Code.FINISHED:
                self.state = "finished"
                return
            step = self._reconnector.next_step(outcome)
            if isinstance(step, GiveUp):
                self._give_up(step, outcome, detail)
            self.state = "reconnecting"
            seconds = step.delay_ns / NS_PER_S
            when = "at once" if not step.delay_ns else f"in {seconds:.1f} s"
            log.warning("%s; trying again %s", client_words(outcome.code, detail), when)
            self._stopping.wait(seconds)

    def _give_up(self, step: GiveUp, outcome: Outcome, detail: str) -> NoReturn:
        if step.false_server:
            raise RefusedError(FALSE_SERVER)
        words = client_words(outcome.code, detail)
        if step.refused:
            raise RefusedError(words)
        failures = self._reconnector.failures
        times = "1 attempt" if failures == 1 else f"{failures} attempts"
        raise ConnectError(f"{words} (gave up after {times}; --reconnect 0 never gives up)")

    def _attempt(self) -> tuple[Outcome, str]:
        """One connection from beginning to end."""
        self.state = "connecting" if self.state == "connecting" else "reconnecting"
        try:
            sock = connect(self._host, self._port)
        except ConnectError as error:
            return Outcome(code=None), str(error)
        connection = Connection(self, sock, self._waker)
        self._connection = connection
        try:
            ended = connection.run()
        finally:
            self._past_rejected += connection.inbox_rejected
            self._connection = None
            connection.close()
        played = connection.played
        outcome = Outcome(code=ended.code, played=played, unproved=ended.unproved)
        return outcome, ended.detail

    # What follows is the connection's view of the client.

    def new_session(self) -> ClientSession:
        """The state machine of a new connection."""
        return ClientSession(prs=self._prs, random_bytes=os.urandom, now_ns=time.monotonic_ns())

    def follow(self, stream: Stream, now_ns: int) -> StreamTracker:
        """A stream is announced: readies the playback, then lets its blocks through."""
        lost = self._tracker
        tracker = None if lost is None else resume(stream, lost, now_ns)
        continued = tracker is not None
        if tracker is None:
            tracker = begin(stream, now_ns)
        self._tracker = tracker
        fmt = Format(
            rate=tracker.format.rate,
            channels=tracker.format.channels,
            block_frames=tracker.format.block_frames,
        )
        self._playback.begin(fmt, continued=continued)
        log.info("stream: %s%s", fmt, ", going on" if continued else "")
        return tracker

    @property
    def playback(self) -> Playback:
        """Where blocks go."""
        return self._playback

    @property
    def read_bytes(self) -> int:
        """The largest datagram or piece of a record to read at once."""
        return self._read_bytes

    @property
    def supervisor(self) -> Supervisor:
        """Whose threads run."""
        return self._supervisor

    def warn_of_udp(self) -> None:
        """Says once that datagrams do not get through."""
        if not self._udp_warned:
            self._udp_warned = True
            log.warning(
                "connected, but the server does not hear our UDP packets: let UDP port "
                "%d through the firewalls in between",
                self._port,
            )


class Connection:
    """One TCP connection with its UDP socket, on the client's control thread."""

    def __init__(self, client: Client, sock: socket.socket, waker: Waker) -> None:
        self.session = client.new_session()
        self.played = False
        self._client = client
        self._link = TcpLink(sock, waker)
        self._begun_ns = time.monotonic_ns()
        self._udp: socket.socket | None = None
        self._sender: DatagramSender | None = None
        self._prober: Prober | None = None
        self._inbox: ClientInbox | None = None
        self._announced: SimpleQueue[tuple[int, StreamTracker]] = SimpleQueue()
        self._streams: dict[int, StreamTracker] = {}
        self._ended: Ended | None = None
        self._open_end: End | None = None
        self._settled_end = False
        self._probed_ns: int | None = None
        self._audio_ns: int | None = None

    @property
    def inbox_rejected(self) -> int:
        """Datagrams dropped on this connection."""
        return 0 if self._inbox is None else self._inbox.rejected

    def answer_end(self) -> None:
        """The ended stream is settled. From any thread."""
        self._settled_end = True

    def run(self) -> Ended:
        """Pumps until the connection is over."""
        session = self.session
        while self._ended is None:
            data = self._link.wait(self._due_ns(), self._client.read_bytes)
            now_ns = time.monotonic_ns()
            if data:
                session.receive(data, now_ns)
            elif data is not None:
                session.receive_eof(now_ns)
            session.handle_timeout(now_ns)
            if self._client.stopping:
                session.close(now_ns)
            for event in session.events():
                self._on_event(event, now_ns)
            self._act(now_ns)
            self._link.send(session.to_send())
        self.played |= self._audio_ns is not None
        self.played |= self._sender is not None and now_ns - self._begun_ns >= LIVED_NS
        return self._ended

    def close(self) -> None:
        """Closes both sockets."""
        self._link.close()
        if self._udp is not None:
            self._udp.close()

    def _due_ns(self) -> int:
        due = [self.session.timeout_ns()]
        if self._prober is not None:
            due.append(self._prober.timeout_ns())
        return min(d for d in due if d is not None)

    def _on_event(self, event: ClientEvent, now_ns: int) -> None:
        if isinstance(event, Started):
            self._on_started(event, now_ns)
        elif isinstance(event, Received):
            self._on_record(event, now_ns)
        else:
            self._ended = event

    def _on_started(self, started: Started, now_ns: int) -> None:
        client = self._client
        client.state = "connected"
        client.suite = started.suite
        log.info("connected; audio protection: %s", started.suite.label)
        if started.suite is Suite.NONE:
            log.warning(
                "the audio itself is neither encrypted nor signed: start the server "
                "with --ssl to change that"
            )
        self._inbox = ClientInbox(keys=started.keys, suite=started.suite)
        self._udp = self._link.open_udp()
        self._sender = DatagramSender(
            cipher=cipher_for_client(started.keys), session=started.keys.session
        )
        self._prober = Prober(now_ns)
        client.supervisor.spawn("udp", self._receive)

    def _on_record(self, event: Received, now_ns: int) -> None:
        record = event.record
        if isinstance(record, Stream):
            tracker = self._client.follow(record, now_ns)
            self._streams[record.stream] = tracker
            self._announced.put((record.stream, tracker))
            self._settled_end, self._open_end = False, None
        elif isinstance(record, UdpOk) and self._prober is not None:
            self._prober.udp_ok(now_ns)
        elif isinstance(record, End) and record.stream in self._streams:
            tracker = self._streams[record.stream]
            self._open_end = record
            self._client.playback.end(unwrap(record.seq, tracker.newest.seq))

    def _act(self, now_ns: int) -> None:
        """Sends what is due by UDP, and the answer to an END whose stream is settled."""
        prober = self._prober
        if prober is not None and self._ended is None:
            audio_ns, probed_ns = self._audio_ns, self._probed_ns
            if prober.due(now_ns, audio_ns=audio_ns, probed_ns=probed_ns):
                self._probe(now_ns)
            if not prober.heard and now_ns - self._begun_ns > UDP_PATIENCE_NS:
                self._client.warn_of_udp()
        if self._open_end is not None and self._settled_end:
            end, self._open_end = self._open_end, None
            answer = End(stream=end.stream, seq=end.seq, reason=EndReason.STOPPED)
            self.session.send(answer, now_ns)

    def _probe(self, now_ns: int) -> None:
        assert self._sender is not None and self._udp is not None
        self._probed_ns = now_ns
        send_datagram(self._udp, self._sender.seal(DatagramType.PROBE, 0, b""))

    def _receive(self) -> None:
        """The UDP thread of this connection."""
        udp, inbox, playback = self._udp, self._inbox, self._client.playback
        assert udp is not None and inbox is not None
        while self._ended is None and not self._client.stopping:
            try:
                datagram = receive_datagram(udp, self._client.read_bytes)
            except OSError:
                if self._ended is not None or udp.fileno() < 0:
                    return
                raise
            now_ns = time.monotonic_ns()
            while not self._announced.empty():
                inbox.announce(*self._announced.get())
            if datagram is None:
                continue
            self._client.received_bytes += len(datagram)
            block = inbox.receive(datagram, now_ns)
            if block is not None:
                self._audio_ns = now_ns
                playback.arrived(block, now_ns)
                if self._ended is None:
                    self._client.state = "playing"
