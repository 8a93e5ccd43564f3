"""A simulated listener: the real protocol over real sockets, without sound.

Nearly all leave their datagrams to the kernel, which drops what does not fit a tiny
buffer, so that many of them cost a machine little; a full one opens everything, and the
kernel stamps what comes for it, so that its own lateness does not count. Reports claim a
loss at which a server settles at a repair row for every fourth block. Needs Linux.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Sequence

from echowarp.crypto.password import encode_password
from echowarp.crypto.suite import cipher_for_client
from echowarp.net.client_link import connect
from echowarp.net.sockets import grow_buffers
from echowarp.session.client_session import ClientSession, Ended, Started
from echowarp.session.clock import ClockExchange
from echowarp.session.datagrams import DatagramSender
from echowarp.session.endpoint import Received
from echowarp.session.inbox import Block, ClientInbox, RepairPiece
from echowarp.session.prober import Prober
from echowarp.session.reports import REPORT_INTERVAL_NS
from echowarp.session.streams import begin
from echowarp.wire.datagram import DatagramType, parse_header
from echowarp.wire.feedback import (
    ClockAnswer,
    Report,
    ReportEntry,
    pack_clock_ask,
    pack_report,
)
from echowarp.wire.records import Stream, UdpOk
from tests.processes import LOOPBACK, PASSWORD

MS = 1_000_000
NS_PER_S = 1_000 * MS

CLAIMED_LOSS, CLAIMED_RUN = 0.045, 3
GUARD_NS, TARGET_NS, RTO_NS = 2 * MS, 60 * MS, 10 * MS
"""Two resends fit, so at this loss the rate is 1/4; runs this long make it so at once."""

_STAMP = struct.Struct("=qq")
_SO_TIMESTAMPNS = 35
"""Linux's number; socket does not name it."""


class Listener:
    """One simulated listener. full: it opens everything that comes."""

    def __init__(self, port: int, *, full: bool) -> None:
        self.full = full
        self.began_ns = time.monotonic_ns()
        self.first_ns: int | None = None
        self.arrivals: dict[int, int] = {}
        self.rows = 0
        self.stream: Stream | None = None
        self.tcp = connect(LOOPBACK, port)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.connect((LOOPBACK, port))
        self.udp.setblocking(False)
        if full:
            grow_buffers(self.udp)
            self.udp.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._session = ClientSession(
            prs=encode_password(PASSWORD), random_bytes=os.urandom, now_ns=self.began_ns
        )
        self._prober, self._clock = Prober(self.began_ns), ClockExchange(self.began_ns)
        self._probed_ns: int | None = None
        self._reported_ns = self.began_ns
        self._highest = -1
        self._sender: DatagramSender | None = None
        self._inbox: ClientInbox | None = None

    def receive_control(self) -> bool:
        """Takes what TCP brought; whether the session has begun by it.

        Raises RuntimeError when it has ended.
        """
        now_ns, begun = time.monotonic_ns(), False
        data = self.tcp.recv(4096)
        if data:
            self._session.receive(data, now_ns)
        else:
            self._session.receive_eof(now_ns)
        for event in self._session.events():
            if isinstance(event, Started):
                keys, begun = event.keys, True
                self._sender = DatagramSender(cipher=cipher_for_client(keys), session=keys.session)
                self._inbox = ClientInbox(keys=keys, suite=event.suite)
            elif isinstance(event, Received):
                self._on_record(event, now_ns)
            elif isinstance(event, Ended):
                raise RuntimeError(f"a listener's session ended: {event.detail}")
        self.tcp.sendall(self._session.to_send())
        return begun

    def _on_record(self, event: Received, now_ns: int) -> None:
        record = event.record
        if isinstance(record, Stream):
            assert self._inbox is not None
            self.stream = record
            self._inbox.announce(record.stream, begin(record, now_ns))
        elif isinstance(record, UdpOk):
            self._prober.udp_ok(now_ns)

    def receive_datagrams(self) -> None:
        """Takes what is in the buffer."""
        while True:
            try:
                data, ancillary, _, _ = self.udp.recvmsg(2048, 64)
            except BlockingIOError:
                return
            if self.first_ns is None:
                self.first_ns = time.monotonic_ns()
            if self.full:
                self._open(data, _stamp_ns(ancillary))
            self._highest = max(self._highest, parse_header(data).number)

    def _open(self, data: bytes, at_ns: int) -> None:
        assert self._inbox is not None
        arrival = self._inbox.receive(data, time.monotonic_ns())
        if isinstance(arrival, Block):
            self.arrivals[arrival.seq] = at_ns
        elif isinstance(arrival, RepairPiece):
            self.rows += 1
        elif isinstance(arrival, ClockAnswer):
            self._clock.receive(arrival, time.monotonic_ns())
        else:
            raise RuntimeError("a datagram of the server was not what it should be")

    def shrink(self) -> None:
        """Leaves to the kernel what will come."""
        self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)

    def act(self, now_ns: int) -> int:
        """Sends what is due. Returns when it wants to be called again."""
        self._session.handle_timeout(now_ns)
        self.tcp.sendall(self._session.to_send())
        audio_ns = None if self.first_ns is None else now_ns
        if self._prober.due(now_ns, audio_ns=audio_ns, probed_ns=self._probed_ns):
            self._probed_ns = now_ns
            self._send(DatagramType.PROBE, 0, b"")
        if self._prober.heard:
            ask = self._clock.handle_timeout(now_ns)
            if ask is not None:
                self._send(DatagramType.CLOCK_ASK, 0, pack_clock_ask(ask))
        if now_ns - self._reported_ns >= REPORT_INTERVAL_NS:
            self._reported_ns = now_ns
            self._report()
        due_ns = [self._prober.timeout_ns(), self._reported_ns + REPORT_INTERVAL_NS]
        session_ns = self._session.timeout_ns()
        assert session_ns is not None
        return min(*due_ns, session_ns, *([self._clock.timeout_ns()] * self._prober.heard))

    def _report(self) -> None:
        self.receive_datagrams()
        if self._highest < 0:
            return
        missing = int((self._highest + 1) * CLAIMED_LOSS)
        entry = ReportEntry(0, GUARD_NS, TARGET_NS)
        report = Report(
            self._highest, self._highest + 1 - missing, missing // CLAIMED_RUN, RTO_NS, (entry,)
        )
        self._send(DatagramType.REPORT, len(report.entries), pack_report(report))

    def _send(self, kind: DatagramType, stream: int, body: bytes) -> None:
        assert self._sender is not None
        self.udp.send(self._sender.seal(kind, stream, body))


def _stamp_ns(ancillary: Sequence[tuple[int, int, bytes]]) -> int:
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _STAMP.unpack(data)
            return int(seconds) * NS_PER_S + int(nanoseconds)
    raise RuntimeError("the kernel did not stamp a datagram")
