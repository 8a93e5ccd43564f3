"""All that a server has for those who talk, on each of its threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from echowarp.app.engine import Task
from echowarp.app.people_desk import Attended, PeopleCounts, PeopleDesk
from echowarp.app.relay_host import RelayHost
from echowarp.app.sender import Sender, SessionCommand
from echowarp.app.switchboard import (
    Captured,
    EndTalk,
    Hear,
    Incoming,
    Loudspeaker,
    Overhear,
    Switchboard,
    Talk,
    TalkCommand,
    TalkCounters,
)
from echowarp.media.format import NS_PER_S
from echowarp.net.udp_server import UdpSender
from echowarp.session.gate import Accepted, Feedback
from echowarp.session.pace import Pace
from echowarp.session.relay import StreamRecord
from echowarp.session.server import Server
from echowarp.session.server_events import Left, Said
from echowarp.wire.people import Denied, Enter
from echowarp.wire.people_codes import Denial
from echowarp.wire.records import Anchor, End, EndReason, Stream

RECORD_EVERY_NS = NS_PER_S // 10
RECORDS_AT_ONCE = 100
"""Of one client about streams of its own: each is work for the thread that sends, which all
calls wait for. A talker has one capture time a second, and two for each who begins to hear it."""

PostControl = Callable[[Callable[[int], None]], None]


class TalkReport(NamedTuple):
    """Who is here to talk, and what was passed on."""

    people: PeopleCounts
    passed: TalkCounters


def refuse(server: Server, said: Said, now_ns: int) -> None:
    """Answers a talker where nobody may talk, or who asks for too many streams."""
    if isinstance(said.record, Enter):
        denied = Denied(reason=Denial.NOT_HERE, suggestion="")
        server.send([(said.connection, denied)], now_ns)
    elif isinstance(said.record, Stream):
        end = End(stream=0, seq=said.record.seq, reason=EndReason.STOPPED)
        server.send([(said.connection, end)], now_ns)


class Talks:
    """The people of a server and the switchboard for what they say.

    udp: what they are sent by; sender: of the server's own stream, with `post` for what is
    to be done on its thread; without one the thread that receives sends as well, and
    `wake` makes it take its turn. post_control: the same for the control thread. The
    others as for PeopleDesk and Switchboard.
    """

    def __init__(
        self,
        server: Server,
        udp: UdpSender,
        sender: Sender | None,
        *,
        max_people: int,
        room: str,
        loudspeaker: Loudspeaker | None,
        post: Callable[[Task | SessionCommand | Feedback], None],
        wake: Callable[[], None],
        post_control: PostControl,
        exhausted: Callable[[int], None],
    ) -> None:
        self._server = server
        self._post = post
        self._post_control = post_control
        self.desk = PeopleDesk(
            server,
            max_people=max_people,
            room=room,
            hears=lambda connection, listeners: self.order(Hear(connection, listeners)),
            overheard=lambda connections: self.order(Overhear(connections)),
        )
        self.control = Attended(server, self.desk)
        """In place of the server for what pumps its connections."""
        self.board = Switchboard(
            udp, sender, exhausted=exhausted, told=self._on_told, loudspeaker=loudspeaker
        )
        self._host = RelayHost(self.board, wake) if sender is None else None
        self._paces: dict[int, Pace] = {}
        """Of each connection that has said something about a stream."""

    @property
    def report(self) -> TalkReport:
        """How it stands. From any thread."""
        return TalkReport(self.desk.counts, self.board.talk_counters)

    def order(self, command: SessionCommand | TalkCommand) -> None:
        """Hands something to the thread that sends. From any thread."""
        if self._host is not None:
            self._host.post(command)
        elif isinstance(command, SessionCommand):
            self._post(command)
        else:
            self._post(partial(self.board.obey, command))

    # On the control thread.

    def left(self, event: Left, now_ns: int) -> str:
        """A session ended. Returns the name that it had, empty for none."""
        self._paces.pop(event.connection, None)
        return self.desk.left(event, now_ns)

    def said(self, event: Said, now_ns: int) -> None:
        """A client says something about people, or about a stream of its own."""
        record = event.record
        if isinstance(record, StreamRecord) and not self._affords(event.connection, now_ns):
            refuse(self._server, event, now_ns)
        elif isinstance(record, Stream):
            self.order(Talk(event.connection, record))
        elif isinstance(record, End):
            self.order(EndTalk(event.connection, record))
        elif isinstance(record, Anchor):
            self.order(Captured(event.connection, record))
        else:
            self.desk.said(event.user, record, now_ns)

    def _affords(self, connection: int, now_ns: int) -> bool:
        pace = self._paces.get(connection)
        if pace is None:
            burst_ns = RECORDS_AT_ONCE * RECORD_EVERY_NS
            pace = self._paces[connection] = Pace(every_ns=RECORD_EVERY_NS, burst_ns=burst_ns)
        return pace.affords(now_ns)

    # On the thread that receives.

    def turned(self, datagrams: Sequence[Accepted], feedback: Sequence[Feedback]) -> None:
        """Passes on what came in one turn."""
        if self._host is not None:
            self._host.turn(datagrams, feedback)
            return
        for each in feedback:
            self._post(each)
        if datagrams:
            self.order(Incoming(datagrams))

    def timeout_ns(self) -> int | None:
        """When `turned` wants to be called though nothing has come, or None."""
        return None if self._host is None else self._host.timeout_ns()

    # On the thread that sends.

    def _on_told(self, records: Sequence[tuple[int, StreamRecord]]) -> None:
        self._post_control(lambda now_ns: self._server.send(records, now_ns))
