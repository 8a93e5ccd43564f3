"""The client: connects, plays, reconnects. Wires session, sockets and playback."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import NoReturn

from echowarp.app.connection import Connection, Status
from echowarp.app.ears import Ears
from echowarp.app.supervisor import Supervisor
from echowarp.app.talk import Talk
from echowarp.app.totals import Repeated
from echowarp.app.words import FALSE_SERVER, client_words
from echowarp.config.settings import Settings
from echowarp.errors import ConnectError, RefusedError
from echowarp.media.format import NS_PER_S
from echowarp.net.client_link import connect
from echowarp.net.waker import Waker
from echowarp.session.client_session import ClientSession
from echowarp.session.reconnect import GiveUp, Outcome, Reconnector, Retry
from echowarp.wire.codes import Code
from echowarp.wire.feedback import Request

log = logging.getLogger(__name__)

BRIEF_NS = NS_PER_S
CALL_RETRY_NS = NS_PER_S
"""How often a call that was lost is tried again beyond --reconnect."""
PLAY_OUT_S = 3.0
"""How long the last sound of a finished stream may take to leave the device."""


class Client:
    """Runs one client. `run` is the control thread's; the rest is safe from any.

    prs: the encoded password; ears: where streams go; talk: what it says to others, None
    for one that only listens.
    """

    def __init__(
        self,
        settings: Settings,
        prs: bytes,
        ears: Ears,
        supervisor: Supervisor,
        *,
        talk: Talk | None = None,
    ) -> None:
        assert settings.server_address is not None
        self._host, self._port = settings.server_address, settings.udp_port
        self._read_bytes = settings.socket_buffer_size
        self._prs = prs
        self._ears = ears
        self._talk = talk
        self._supervisor = supervisor
        self._waker = Waker()
        self._reconnector = Reconnector(
            attempts=settings.reconnect_attempt, random_bytes=os.urandom
        )
        self._failure = Repeated()
        self._stopping = threading.Event()
        self._connection: Connection | None = None
        self._past_rejected = self._past_repeated = self._past_bytes = 0
        self._rtt_ns: int | None = None
        self.status = Status()

    @property
    def rtt_ns(self) -> int | None:
        """The smoothed round trip of packets, the last that was measured."""
        connection = self._connection
        clock = None if connection is None else connection.clock
        if clock is not None and clock.srtt_ns is not None:
            self._rtt_ns = clock.srtt_ns
        return self._rtt_ns

    @property
    def loss(self) -> float:
        """Share of the packets of the last five seconds that were lost, 0..1."""
        connection = self._connection
        return 0.0 if connection is None else connection.loss

    @property
    def rto_ns(self) -> int | None:
        """How long a request waits for its answer, once known."""
        connection = self._connection
        clock = None if connection is None else connection.clock
        return None if clock is None or clock.srtt_ns is None else clock.rto_ns

    @property
    def rejected(self) -> int:
        """Datagrams dropped: forged, replayed or malformed."""
        connection = self._connection
        return self._past_rejected + (0 if connection is None else connection.rejected)

    @property
    def repeated(self) -> int:
        """Datagrams that came more than once, over all connections."""
        connection = self._connection
        return self._past_repeated + (0 if connection is None else connection.repeated)

    @property
    def received_bytes(self) -> int:
        """UDP payload received, over all connections."""
        connection = self._connection
        return self._past_bytes + (0 if connection is None else connection.received_bytes)

    def request(self, tracker: object, requests: list[Request]) -> None:
        """Asks the server for blocks of a stream. From any thread."""
        connection = self._connection
        if connection is not None:
            connection.request(tracker, requests)

    def settled(self, tracker: object) -> None:
        """Every block of a stream that ended is settled. From any thread."""
        connection = self._connection
        if connection is not None:
            connection.settled(tracker)
            self._waker.wake()

    def wake(self) -> None:
        """There is something to do. From any thread."""
        self._waker.wake()

    def stop(self) -> None:
        """Has `run` say goodbye and return. From any thread."""
        self._stopping.set()
        self._waker.wake()

    def run(self) -> None:
        """Connects again and again until finished, stopped or refused."""
        while not self._stopping.is_set():
            outcome, detail = self._attempt()
            if self._stopping.is_set():
                return
            if self._talk is not None and self._talk.session_over(time.monotonic_ns()):
                self.status.state = "finished"
                self._talk.raise_error()
                return
            if outcome.code == Code.FINISHED:
                self.status.state = "finished"
                return
            step = self._reconnector.next_step(outcome)
            if isinstance(step, GiveUp) and not step.refused and self._in_lost_call:
                step = Retry(delay_ns=CALL_RETRY_NS)
            if isinstance(step, GiveUp):
                self._give_up(step, detail)
            self.status.state = "connecting" if self.status.suite is None else "reconnecting"
            seconds = step.delay_ns / NS_PER_S
            when = "at once" if not step.delay_ns else f"in {seconds:.1f} s"
            if outcome.played:
                self._failure.forget()
            is_news = self._failure.is_news(detail, time.monotonic_ns())
            log.log(
                logging.WARNING if is_news else logging.DEBUG, "%s; trying again %s", detail, when
            )
            self._stopping.wait(seconds)

    @property
    def _in_lost_call(self) -> bool:
        return self._talk is not None and self._talk.call_is_lost

    def _give_up(self, step: GiveUp, detail: str) -> NoReturn:
        if step.false_server:
            raise RefusedError(FALSE_SERVER)
        if step.refused:
            raise RefusedError(detail)
        failures = self._reconnector.failures
        times = "1 attempt" if failures == 1 else f"{failures} attempts"
        raise ConnectError(f"{detail}; gave up after {times}; --reconnect 0 never gives up")

    def _attempt(self) -> tuple[Outcome, str]:
        """One connection from beginning to end."""
        try:
            sock = connect(self._host, self._port)
        except ConnectError as error:
            return Outcome(code=None), str(error)
        connection = Connection(
            sock,
            self._waker,
            session=ClientSession(
                prs=self._prs, random_bytes=os.urandom, now_ns=time.monotonic_ns()
            ),
            ears=self._ears,
            talk=self._talk,
            status=self.status,
            read_bytes=self._read_bytes,
            spawn=self._supervisor.spawn,
            stopping=self._stopping,
        )
        self._connection = connection
        begun_ns = time.monotonic_ns()
        try:
            ended = connection.run()
        finally:
            self._past_rejected += connection.rejected
            self._past_repeated += connection.repeated
            self._past_bytes += connection.received_bytes
            self._connection = None
            connection.close()
        outcome = Outcome(
            code=ended.code,
            played=connection.played,
            unproved=ended.unproved,
            brief=time.monotonic_ns() - begun_ns < BRIEF_NS,
        )
        # A code of our own is no word of the server's.
        return outcome, client_words(ended.code, ended.detail) if ended.by_peer else ended.detail
