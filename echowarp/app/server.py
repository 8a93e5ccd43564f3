"""The server: wires sockets, sessions and the audio engine together."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from echowarp.app.ban_keeper import BanKeeper, log_turned_away
from echowarp.app.engine import Engine, Quit, Report, Task
from echowarp.app.inlet import Inlet
from echowarp.app.sender import Counters, Join, Leave, Sender, SessionCommand
from echowarp.app.server_choices import MAX_CONTROL_READ_BYTES, random_u32, suite_of
from echowarp.app.supervisor import Supervisor
from echowarp.app.switchboard import Loudspeaker, Switchboard
from echowarp.app.talks import Talks, refuse
from echowarp.app.totals import Total
from echowarp.app.words import listeners
from echowarp.config.settings import Settings
from echowarp.crypto.suite import audio_key
from echowarp.device.seams import Source
from echowarp.media.format import Format
from echowarp.net.sockets import ServerSockets
from echowarp.net.tcp_server import TcpServer
from echowarp.net.udp_server import UdpSender, UdpServer
from echowarp.session.address import IpNetwork
from echowarp.session.gate import Feedback
from echowarp.session.relay import TALK_TYPES
from echowarp.session.server import Server
from echowarp.session.server_events import (
    Joined,
    Left,
    Said,
    ServerEvent,
    WrongPassword,
)
from echowarp.wire.codes import Code
from echowarp.wire.records import Anchor, End, EndReason, Stream

if TYPE_CHECKING:
    from echowarp.app.web_door import WebDoor
    from echowarp.app.web_entrance import WebEntrance
    from echowarp.app.workers import Workers

log = logging.getLogger(__name__)


class ServerApp:
    """Runs one server.

    prs: the encoded password; source: None for a server without one, which only passes
    on what talkers say; loudspeaker: where they are played as well; entrance: of the web
    door, if there is to be one. Three threads: control (TCP), udp (receives, and sends
    where there is no source), engine (sends); with --workers above 1 processes send, and a
    thread looks after each of them, and of the web door's.
    """

    def __init__(
        self,
        settings: Settings,
        prs: bytes,
        source: Source | None,
        sockets: ServerSockets,
        supervisor: Supervisor,
        loudspeaker: Loudspeaker | None = None,
        entrance: WebEntrance | None = None,
    ) -> None:
        self._settings = settings
        self._supervisor = supervisor
        self._sockets = sockets
        self.suite = suite_of(settings)
        talkers_come = source is None or settings.talkback
        self._bans = BanKeeper(settings, guarded=bool(prs), banned=self._on_banned)
        self._finishing = False
        self._turned_away = 0
        self._strangers = Total("%d connections came to nothing in the last minute")
        self.server = Server(
            prs=prs,
            suite=self.suite,
            max_clients=settings.max_clients,
            admission=self._bans.admission,
            random_bytes=os.urandom,
            streams=self._streams,
        )
        udp = UdpSender(sockets.udp)
        sender = None if source is None or settings.workers > 1 else self._make_sender(source, udp)
        self.talks = self._make_talks(udp, sender, loudspeaker) if talkers_come else None
        self.tcp = TcpServer(
            sockets.tcp,
            self.server if self.talks is None else self.talks.control,
            read_bytes=min(settings.socket_buffer_size, MAX_CONTROL_READ_BYTES),
            on_progress=self._on_progress,
        )
        self._inlet = Inlet(
            self.talks,
            talk_types=TALK_TYPES if talkers_come else frozenset(),
            order=self._order,
            post=self._post,
            heard=self._on_heard,
        )
        self.udp = UdpServer(
            sockets.udp,
            read_bytes=settings.socket_buffer_size,
            deliver=self._inlet.deliver,
            turned=self._inlet.turned,
            timeout_ns=self._inlet.timeout_ns,
            tick=self._inlet.tick,
        )
        self._workers: Workers | None = None
        self._web = None if entrance is None else self._make_door(prs, entrance)
        self.engine = None if source is None else self._make_engine(source, sender)

    def _make_sender(self, source: Source, udp: UdpSender) -> Sender:
        return Sender(
            udp,
            first_seq=random_u32(),
            first_time=random_u32(),
            block_ns=source.format.block_ns,
            exhausted=self._on_exhausted,
        )

    def _make_workers(self, source: Source) -> Workers:
        # What starts processes takes time to load, and most servers need none.
        from echowarp.app.workers import Workers

        self._workers = Workers(
            self._settings.workers,
            self._sockets.udp,
            first_seq=random_u32(),
            first_time=random_u32(),
            block_ns=source.format.block_ns,
            live=not source.waits_for_listener,
            post=self._post,
            exhausted=self._on_exhausted,
            lost=self._on_lost,
        )
        return self._workers

    def _make_talks(
        self, udp: UdpSender, sender: Sender | None, loudspeaker: Loudspeaker | None
    ) -> Talks:
        settings = self._settings
        return Talks(
            self.server,
            udp,
            sender,
            max_people=settings.max_clients,
            room=settings.room or "",
            loudspeaker=loudspeaker,
            post=self._post,
            wake=lambda: self.udp.wake(),
            post_control=lambda action: self.tcp.post(action),
            exhausted=self._on_exhausted,
        )

    def _make_engine(self, source: Source, sender: Sender | None) -> Engine:
        board = None if self.talks is None else self.talks.board
        outlet: Switchboard | Sender | Workers | None = board or sender
        return Engine(
            source,
            outlet or self._make_workers(source),
            ear=None if self._web is None else self._web.ear,
            timers=board,
            duration_s=self._settings.duration,
            anchored=self._on_anchor,
            finished=self._on_finished,
        )

    def _make_door(self, prs: bytes, entrance: WebEntrance) -> WebDoor:
        # What serves browsers takes time to load, and most servers need none.
        from echowarp.app.web_door import WebDoor
        from echowarp.app.web_host import WebHost

        host = WebHost(self.server, self._bans, lambda: self.engine, self.talks, entrance.source)
        return WebDoor(self._settings, prs, entrance, host, self.tcp.post)

    def _post(self, command: Task | SessionCommand | Feedback) -> None:
        if self.engine is not None:
            self.engine.post(command)

    def _order(self, command: SessionCommand) -> None:
        """Hands something to the thread that sends. From any thread."""
        if self.talks is not None:
            self.talks.order(command)
        else:
            self._post(command)

    @property
    def sessions(self) -> int:
        """How many listeners are connected."""
        return self.server.sessions + (0 if self._web is None else self._web.listeners)

    @property
    def report(self) -> Report | None:
        """What the engine does, None without a source."""
        return None if self.engine is None else self.engine.report

    @property
    def sent(self) -> Counters:
        """What has been sent so far."""
        if self.engine is not None:
            return self.engine.report.sent
        return Counters() if self.talks is None else self.talks.board.counters

    @property
    def format(self) -> Format | None:
        """The stream's format, None without a source."""
        return None if self.engine is None else self.engine.format

    def start(self) -> None:
        """Starts workers and threads. Raises EchoWarpError when a worker cannot start; in
        any case `stop` is to be called."""
        if self.engine is not None:
            # It comes first, for the source is closed by it.
            self._supervisor.spawn("engine", self.engine.run)
        if self._workers is not None:
            self._workers.start(self._supervisor)
        self._supervisor.spawn("control", self.tcp.run)
        self._supervisor.spawn("udp", self.udp.run)
        if self._web is not None:
            self._web.start(self._supervisor)

    def reread_bans(self) -> None:
        """Reads the ban list's file again. From any thread."""
        if self._bans.active:
            self.tcp.post(self._on_bans_changed)

    def stop(self) -> None:
        """Says goodbye and ends the threads."""
        self.tcp.post(lambda now_ns: self.server.close_all(Code.CLOSING, now_ns))
        self.tcp.stop()
        self.udp.stop()
        for each in (self._workers, self._web):
            if each is not None:
                each.close()
        if self.engine is not None:
            self.engine.post(Quit())
        self._supervisor.join()
        self._sockets.close()

    def _streams(self) -> list[Stream]:
        return [] if self.engine is None else [self.engine.stream()]

    # On the control thread.

    def _on_banned(self, network: IpNetwork) -> None:
        if self._web is not None:
            self._web.banned(network)

    def _on_bans_changed(self, now_ns: int) -> None:
        self._bans.reread(self.server)
        if self._web is not None:
            self._web.bans_changed()

    def _on_progress(self, now_ns: int) -> None:
        for event in self.server.events():
            self._on_event(event, now_ns)
        self._strangers.note(self._turned_away, now_ns)
        if self._finishing and self.server.idle:
            self._supervisor.stop()

    def _on_event(self, event: ServerEvent, now_ns: int) -> None:
        talks = self.talks
        if isinstance(event, Joined):
            log.info("%s joined (listener %d)", event.host, event.user)
            # The gate must know the session before the client hears of it.
            self._inlet.admit(event.connection, event.host, event.keys)
            key, session = audio_key(self.suite, event.keys), event.keys.session
            self._order(Join(event.connection, self.suite, key, session, event.user))
            if talks is not None:
                talks.desk.joined(event, now_ns)
        elif isinstance(event, Left):
            name = "" if talks is None else talks.left(event, now_ns)
            log.info("%s left: %s", f"{name} at {event.host}" if name else event.host, event.detail)
            self._inlet.dismiss(event.connection)
            self._order(Leave(event.connection))
        elif isinstance(event, Said):
            if talks is not None:
                talks.said(event, now_ns)
            else:
                refuse(self.server, event, now_ns)
        elif isinstance(event, WrongPassword):
            self._bans.guessed(event)
        else:
            self._turned_away += 1
            log_turned_away(event)

    # On the thread that receives.

    def _on_heard(self, connection: int, number: int, port: int) -> None:
        self.tcp.post(lambda now_ns: self.server.udp_heard(connection, number, port, now_ns))

    # On the engine's thread, or whichever sends.

    def _on_anchor(self, anchor: Anchor) -> None:
        self.tcp.post(lambda now_ns: self.server.anchor(anchor, now_ns))

    def _on_exhausted(self, connection: int) -> None:
        detail = "its packet numbers are spent"
        self.tcp.post(
            lambda now_ns: self.server.close_session(connection, Code.CLOSING, detail, now_ns)
        )

    def _on_lost(self, connections: Sequence[int]) -> None:
        def close(now_ns: int) -> None:
            for connection in connections:
                detail = "its worker is no more"
                self.server.close_session(connection, Code.CLOSING, detail, now_ns)

        self.tcp.post(close)

    def _on_finished(self, end: End, error: BaseException | None) -> None:
        if error is not None:
            self._supervisor.fail(error)
            return

        def finish(now_ns: int) -> None:
            self._finishing = True
            self.server.finish(end, now_ns)
            if self._web is not None:
                self._web.finished(why)

        why = "--duration is over" if end.reason is EndReason.STOPPED else "the source has ended"
        log.info("%s; saying goodbye to %s", why, listeners(self.sessions))
        self.tcp.post(finish)
