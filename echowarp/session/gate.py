"""The server's side of UDP from clients: who is heard, and from where.

Source: protocol 1, section 5. What is not authenticated is never answered, and
nobody can point a stream at an address that did not finish the TCP handshake.
"""

from __future__ import annotations

from collections.abc import Hashable, Set
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from echowarp.crypto.schedule import SessionKeys
from echowarp.crypto.suite import Suite, cipher_for_client
from echowarp.errors import ProtocolError
from echowarp.session.address import plain_host
from echowarp.session.channel import NS_PER_S
from echowarp.session.datagrams import DatagramReceiver
from echowarp.wire.datagram import DatagramType, Header, parse_header
from echowarp.wire.feedback import (
    ClockAsk,
    Report,
    Request,
    parse_clock_ask,
    parse_report,
    parse_request,
)

SILENT_AFTER_NS = 35 * NS_PER_S
"""So long without a datagram from the client pauses its stream."""

CLIENT_TYPES = range(DatagramType.PROBE, 0x80)
"""Types of datagrams from a client."""

FEEDBACK_TYPES = frozenset(
    map(int, (DatagramType.REQUEST, DatagramType.REPORT, DatagramType.CLOCK_ASK))
)

MOVE_PAUSE_NS = NS_PER_S // 10
"""No NAT rebinds faster; a client that hops costs the others nothing."""

FEEDBACK_EVERY_NS = NS_PER_S // 200
FEEDBACK_BURST_NS = NS_PER_S // 4
"""A session may tell and ask 200 times a second, and fifty times at once; a client that
loses every second block asks 170 times. What is more is dropped, so that nobody who
floods with valid feedback delays the blocks of others."""

Way = TypeVar("Way", bound=Hashable)
"""How to reach a peer: opaque here, made and used by the socket layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened(Generic[Way]):
    """Datagrams of a session come from a new place (or again): stream to `way`."""

    connection: int
    number: int
    way: Way


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """A session's client has been silent for 35 s."""

    connection: int


class Feedback(NamedTuple):
    """What a client tells about a stream, and when it came."""

    connection: int
    stream: int
    message: Request | Report | ClockAsk
    at_ns: int


Accepted: TypeAlias = tuple[int, int, int, int, bytes, int]
"""A datagram of a session, opened: connection, number, type, stream byte, body, which is
empty unless it is of a talker, and when it came, ns. A plain tuple, as each costs."""

GateEvent: TypeAlias = Opened[Way] | Paused


class _Guest(Generic[Way]):
    def __init__(self, connection: int, host: str, keys: SessionKeys) -> None:
        self.connection = connection
        self.host = host
        cipher = cipher_for_client(keys)
        self.receiver = DatagramReceiver(cipher=cipher, suite=Suite.ENCRYPTED)
        self.way: Way | None = None
        self.heard_ns = self.moved_ns = 0
        self._paid_until_ns = 0

    def affords_feedback(self, now_ns: int) -> bool:
        """Whether its budget allows one more feedback datagram, which is then spent.

        Source: the virtual scheduling algorithm of ITU-T I.371, annex A.
        """
        paid_until_ns = max(self._paid_until_ns, now_ns) + FEEDBACK_EVERY_NS
        if paid_until_ns > now_ns + FEEDBACK_BURST_NS:
            return False
        self._paid_until_ns = paid_until_ns
        return True


class DatagramGate(Generic[Way]):
    """Checks every datagram that reaches the server's port. One thread owns it.

    talk_types: types of datagrams that are handed on, none where nobody may talk.
    """

    def __init__(self, *, talk_types: Set[int] = frozenset()) -> None:
        self._talk_types = talk_types
        self._guests: dict[bytes, _Guest[Way]] = {}
        self._sessions: dict[int, bytes] = {}
        self._feedback: list[Feedback] = []
        self._accepted: list[Accepted] = []
        self.dropped = 0
        """Datagrams of no session, of the wrong shape, from the wrong address, or beyond
        a session's budget."""

    def admit(self, connection: int, host: str, keys: SessionKeys) -> None:
        """A session began. host: the numeric address of its TCP peer."""
        self._guests[keys.session] = _Guest(connection, plain_host(host), keys)
        self._sessions[connection] = keys.session

    def dismiss(self, connection: int) -> None:
        """A session ended; its key is forgotten."""
        session = self._sessions.pop(connection, None)
        if session is not None:
            del self._guests[session]

    def receive(self, datagram: bytes, host: str, way: Way, now_ns: int) -> Opened[Way] | None:
        """One datagram from `host` that can be answered by `way`.

        Returns what it opens or moves, if anything.
        """
        try:
            header = parse_header(datagram)
        except ProtocolError:
            self.dropped += 1
            return None
        guest = self._guests.get(header.session)
        from_client = header.kind in CLIENT_TYPES
        # A host is nearly always spelt as it was before, and to parse it takes long.
        if (
            not from_client
            or guest is None
            or (guest.host != host and guest.host != plain_host(host))
        ):
            self.dropped += 1
            return None
        body = guest.receiver.open(header, datagram)
        if body is None:
            return None
        guest.heard_ns = now_ns
        kind = header.kind
        if self._talk_types:
            said = body if kind in self._talk_types else b""
            self._accepted.append(
                (guest.connection, header.number, kind, header.stream, said, now_ns)
            )
        if kind in FEEDBACK_TYPES:
            self._note(guest, header, body, now_ns)
        if way == guest.way or header.number < guest.receiver.highest:
            return None
        if guest.way is not None and now_ns - guest.moved_ns < MOVE_PAUSE_NS:
            return None
        guest.way, guest.moved_ns = way, now_ns
        return Opened(connection=guest.connection, number=header.number, way=way)

    def feedback(self) -> list[Feedback]:
        """Drains what clients have told, in order."""
        feedback, self._feedback = self._feedback, []
        return feedback

    def accepted(self) -> list[Accepted]:
        """Drains the datagrams of all sessions, in order; none where nobody may talk."""
        accepted, self._accepted = self._accepted, []
        return accepted

    def _note(self, guest: _Guest[Way], header: Header, body: bytes, now_ns: int) -> None:
        message: Request | Report | ClockAsk
        if not guest.affords_feedback(now_ns):
            self.dropped += 1
            return
        try:
            if header.kind == DatagramType.REQUEST:
                message = parse_request(body)
            elif header.kind == DatagramType.REPORT:
                message = parse_report(body, header.stream)
            else:
                message = parse_clock_ask(body)
        except ProtocolError:
            self.dropped += 1
            return
        self._feedback.append(
            Feedback(
                connection=guest.connection, stream=header.stream, message=message, at_ns=now_ns
            )
        )

    def silent(self, now_ns: int) -> list[Paused]:
        """The sessions to pause now. Cheap enough to be asked every second."""
        paused = []
        for guest in self._guests.values():
            if guest.way is not None and now_ns - guest.heard_ns >= SILENT_AFTER_NS:
                guest.way = None
                paused.append(Paused(connection=guest.connection))
        return paused
