"""What reaches a server's UDP port, on the thread that receives."""

from __future__ import annotations

import logging
from collections.abc import Callable, Set
from queue import SimpleQueue

from echowarp.app.sender import Open, Pause, SessionCommand
from echowarp.app.talks import Talks
from echowarp.app.totals import Total
from echowarp.crypto.schedule import SessionKeys
from echowarp.net.udp_server import Way
from echowarp.session.gate import DatagramGate, Feedback

log = logging.getLogger(__name__)


class Inlet:
    """Opens the datagrams of sessions and hands them on.

    talks: who takes what talkers say, None where nobody may talk; talk_types: as for the
    gate; order: does what is to be done with a session; post: takes feedback where there
    are no talks; heard(connection, number, port): a session is heard from a new place.
    """

    def __init__(
        self,
        talks: Talks | None,
        *,
        talk_types: Set[int],
        order: Callable[[SessionCommand], None],
        post: Callable[[Feedback], None],
        heard: Callable[[int, int, int], None],
    ) -> None:
        self._talks = talks
        self._order = order
        self._post = post
        self._heard = heard
        self._gate: DatagramGate[Way] = DatagramGate(talk_types=talk_types)
        self._guests: SimpleQueue[tuple[int, str, SessionKeys | None]] = SimpleQueue()
        self._garbage = Total("%d datagrams of nobody's session were dropped in the last minute")

    def admit(self, connection: int, host: str, keys: SessionKeys) -> None:
        """A session began. From any thread."""
        self._guests.put((connection, host, keys))

    def dismiss(self, connection: int) -> None:
        """A session ended. From any thread."""
        self._guests.put((connection, "", None))

    def timeout_ns(self) -> int | None:
        """When `turned` wants to be called though nothing has come, or None."""
        return None if self._talks is None else self._talks.timeout_ns()

    def deliver(self, datagram: bytes, host: str, way: Way, now_ns: int) -> None:
        """A datagram has come from `host`, which can be answered by `way`."""
        if not self._guests.empty():
            self._update_guests()
        opened = self._gate.receive(datagram, host, way, now_ns)
        if opened is not None:
            self._order(Open(opened.connection, way))
            self._heard(opened.connection, opened.number, way.port)

    def turned(self) -> None:
        """All that was there has been delivered."""
        feedback = self._gate.feedback()
        if self._talks is not None:
            self._talks.turned(self._gate.accepted(), feedback)
        else:
            for each in feedback:
                self._post(each)

    def tick(self, now_ns: int) -> None:
        """About a second has passed."""
        self._update_guests()
        self._garbage.note(self._gate.dropped, now_ns)
        for paused in self._gate.silent(now_ns):
            log.info("a listener is not heard by UDP any more; its stream pauses")
            self._order(Pause(paused.connection))

    def _update_guests(self) -> None:
        while not self._guests.empty():
            connection, host, keys = self._guests.get()
            if keys is None:
                self._gate.dismiss(connection)
            else:
                self._gate.admit(connection, host, keys)
