"""One run of a server, from settings to summary."""

from __future__ import annotations

import logging
import signal
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from echowarp.app.ban_file import check_ban_file
from echowarp.app.ends import open_source
from echowarp.app.server import ServerApp
from echowarp.app.stats import StatsWriter, stream_fields
from echowarp.app.supervisor import Supervisor
from echowarp.app.watch import NO_DEVICE, RateMeter, Signals, Watch
from echowarp.app.words import listeners
from echowarp.config.settings import Settings
from echowarp.crypto.password import encode_password
from echowarp.device.returning import Presence
from echowarp.net.sockets import open_server_sockets
from echowarp.ui.status import View
from echowarp.ui.terminal import Terminal

if TYPE_CHECKING:
    from echowarp.app.loudspeaker import TalkLoudspeaker
    from echowarp.app.web_entrance import WebEntrance

log = logging.getLogger(__name__)

NO_PASSWORD = (
    "no password: anyone who can reach this port can listen, and an active attacker "
    "can impersonate either side; set --password"
)
ONLY_LISTENERS = "without a password, --ssl stops listeners on the path only"


def run_server(settings: Settings, terminal: Terminal) -> None:
    """Serves until finished or stopped. Raises EchoWarpError."""
    signals = Signals()
    check_ban_file(settings.ban_list)
    prs, presence = encode_password(settings.password), Presence()
    sockets, entrance = open_server_sockets(settings.bind, settings.udp_port), None
    try:
        entrance = _open_entrance(settings)
        stats, loudspeaker = None, _open_loudspeaker(settings)
        source = open_source(settings, presence)
        try:
            if settings.stats is not None:
                stats = StatsWriter(settings.stats, overwrite=settings.overwrite, terminal=terminal)
        except BaseException:
            if source is not None:
                source.stop()
            raise
    except BaseException:
        sockets.close()
        if entrance is not None:
            entrance.close()
        raise
    _say_warnings(settings)
    supervisor = Supervisor()
    app = ServerApp(settings, prs, source, sockets, supervisor, loudspeaker, entrance)
    shown = _Shown(app, presence)
    reread = _on_hangup()
    watch = Watch(
        shown, supervisor, terminal, stats, signals, stdin_is_taken=settings.source == "-"
    )
    try:
        if loudspeaker is not None:
            supervisor.spawn("loudspeaker", loudspeaker.run)
        app.start()
        log.info(
            "listening on port %d (TCP and UDP); %s",
            sockets.port,
            "no source" if app.format is None else f"{source_name(settings)}: {app.format}",
        )
        if entrance is not None:
            _say_entrance(settings, entrance)
        watch.until_stopped(lambda: app.reread_bans() if reread() else None)
    finally:
        if loudspeaker is not None:
            loudspeaker.stop(lambda: signals.asked or supervisor.failed)
        app.stop()
        if entrance is not None:
            entrance.close()
        watch.close()
        signals.done()
    supervisor.raise_error()
    shown.summarise()


def _open_loudspeaker(settings: Settings) -> TalkLoudspeaker | None:
    if not settings.talkback:
        return None
    # What plays takes time to load, and most servers need none of it.
    from echowarp.app.loudspeaker import TalkLoudspeaker

    return TalkLoudspeaker(settings)


def _open_entrance(settings: Settings) -> WebEntrance | None:
    if settings.web_port is None:
        return None
    # What serves browsers takes time to load, and most servers need none of it.
    from echowarp.app.web_entrance import WebEntrance

    source = None if settings.source == "none" else source_name(settings)
    if settings.source.lower().endswith(".wav"):
        # Where a file is kept is nothing to its listeners.
        source = Path(settings.source).name
    return WebEntrance.open(settings, source)


def _say_entrance(settings: Settings, entrance: WebEntrance) -> None:
    log.info("listen in a browser: %s", entrance.url(settings))
    log.info("the web port's certificate: SHA-256 %s", entrance.certificate.facts.fingerprint)


def source_name(settings: Settings) -> str:
    """What is sent, in words."""
    if settings.source == "-":
        return "standard input"
    if settings.source != "device":
        return settings.source
    named = settings.device
    if settings.device_id is not None:
        named = f"device {settings.device_id}"
    if settings.is_input_audio_device:
        return named or "the microphone"
    return f"what {named} plays" if named else "what the speakers play"


def _say_warnings(settings: Settings) -> None:
    if settings.password is None:
        log.warning(NO_PASSWORD)
        if settings.is_ssl:
            log.warning(ONLY_LISTENERS)


def _on_hangup() -> Any:
    """SIGHUP, where it exists, asks for the ban list to be read again. Returns a
    function that tells, once, whether it was asked for."""
    asked: list[bool] = []

    def caught(number: int, frame: FrameType | None) -> None:
        asked.append(True)

    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, caught)
    return lambda: bool(asked) and asked.pop()


class _Shown:
    """What the terminal and the statistics show of a server."""

    def __init__(self, app: ServerApp, presence: Presence) -> None:
        self._app = app
        self._presence = presence
        self._bytes = RateMeter()

    @property
    def _state(self) -> str:
        report = self._app.report
        if report is None:
            return "relaying"
        if self._presence.is_away:
            return NO_DEVICE
        return "streaming" if report.listeners else "waiting"

    def _bits_per_s(self, now_ns: int) -> float:
        return self._bytes.per_second(self._app.sent.sent_bytes, now_ns) * 8

    def view(self, now_ns: int) -> View:
        """The live line's contents."""
        report, sessions = self._app.report, self._app.sessions
        fmt = self._app.format
        return View(
            state=self._state,
            peers=listeners(sessions),
            sound="" if fmt is None else str(fmt),
            level_db=None if report is None else report.level_db,
            delay_ms=None,
            loss_percent=None,
            bits_per_s=self._bits_per_s(now_ns),
        )

    def stats(self, now_ns: int) -> Mapping[str, Any]:
        """The fields of one line of statistics."""
        report, fmt, streams = self._app.report, self._app.format, []
        if report is not None and fmt is not None:
            streams.append(
                stream_fields(
                    rate=fmt.rate,
                    channels=fmt.channels,
                    suite=self._app.suite.label,
                    sent=report.sent.datagrams,
                    resent=report.sent.resent,
                    bitrate=round(self._bits_per_s(now_ns)),
                    level_db=round(report.level_db, 1),
                )
            )
        line = {
            "role": "server",
            "state": self._state,
            "peers": self._app.sessions,
            "streams": streams,
        }
        if self._app.talks is not None:
            people, passed = self._app.talks.report
            line["talk"] = {**people._asdict(), **passed._asdict()}
        return line

    def summarise(self) -> None:
        """Says what was done."""
        report = self._app.report
        if self._app.talks is not None:
            log.info("done: %d packets passed on", self._app.talks.report.passed.forwarded)
        if report is not None:
            datagrams, unsent = report.sent.datagrams, report.sent.unsent
            log.info("done: %d blocks sent, %d not taken by the network", datagrams, unsent)
