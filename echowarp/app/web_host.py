"""What the web door asks the server, answered on the control thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from echowarp.app.ban_keeper import BanKeeper
from echowarp.app.engine import Engine
from echowarp.app.talks import Talks
from echowarp.app.web_messages import DoorOrder, Figures, StreamEnded, Streaming
from echowarp.media.format import NS_PER_S
from echowarp.session.admission import Verdict
from echowarp.session.bans import BanList
from echowarp.session.broadcast import SERVER_STREAM
from echowarp.session.server import Server

NO_SOURCE = "this server has no sound of its own: it passes on what its clients say"


class WebHost:
    """Answers for one server. source: what its sound is called, None without any.

    Those who listen at the door take places from the sessions.
    """

    def __init__(
        self,
        server: Server,
        bans: BanKeeper,
        engine: Callable[[], Engine | None],
        talks: Talks | None,
        source: str | None,
    ) -> None:
        self._server = server
        self._bans = bans
        self._engine = engine
        self._talks = talks
        self._source = source
        self._begun_ns = time.monotonic_ns()
        self._ended: StreamEnded | None = None

    def judge(self, host: str, *, right: bool) -> Verdict:
        """As of Host."""
        return self._bans.judge(host, right=right)

    def take_place(self) -> bool:
        """As of Host."""
        if self._server.sessions >= self._server.max_clients:
            return False
        self._server.max_clients -= 1
        return True

    def attend(self) -> None:
        """As of Host."""
        engine = self._engine()
        if engine is not None:
            engine.post(engine.attend)

    def give_place_back(self) -> None:
        """As of Host."""
        self._server.max_clients += 1

    def figures(self) -> Figures:
        """As of Host."""
        engine = self._engine()
        return Figures(
            listeners=self._server.sessions,
            talkers=0 if self._talks is None else self._talks.report.people.people,
            source=self._source,
            level_db=None if engine is None else round(engine.report.level_db, 1),
            uptime_s=(time.monotonic_ns() - self._begun_ns) // NS_PER_S,
        )

    def bans(self) -> BanList:
        """As of Host."""
        return self._bans.admission.bans

    def streaming(self) -> Sequence[DoorOrder]:
        """As of Host."""
        engine = self._engine()
        if engine is None:
            return [StreamEnded(SERVER_STREAM, NO_SOURCE)]
        stream = Streaming(SERVER_STREAM, engine.format)
        return [stream] if self._ended is None else [stream, self._ended]

    def finished(self, reason: str) -> StreamEnded:
        """The stream is over."""
        self._ended = StreamEnded(SERVER_STREAM, reason)
        return self._ended
