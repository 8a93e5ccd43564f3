"""The bans of a running server: read at the start and again, and added to."""

from __future__ import annotations

import logging
from collections.abc import Callable

from echowarp.app.ban_file import add_ban, read_ban_file
from echowarp.config.settings import Settings
from echowarp.session.address import IpNetwork
from echowarp.session.admission import Admission, Verdict
from echowarp.session.bans import BanList
from echowarp.session.server import Server
from echowarp.session.server_events import TurnedAway, WrongPassword
from echowarp.wire.codes import Code

log = logging.getLogger(__name__)


class BanKeeper:
    """Keeps the file and the server alike. The control thread owns it.

    guarded: whether there is a password to guess; banned: told of each new ban.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        guarded: bool,
        banned: Callable[[IpNetwork], None] = lambda network: None,
    ) -> None:
        self._banned = banned
        self._path = settings.ban_list
        self._limit = settings.reconnect_attempt or None
        self.active = guarded and settings.reconnect_attempt > 0
        """Whether anybody is ever banned."""

        bans = read_ban_file(self._path) if self.active else BanList()
        self.admission = Admission(limit=self._limit, bans=bans)
        """Who may try, with what the file says."""

    def reread(self, server: Server) -> None:
        """The file has changed."""
        bans = read_ban_file(self._path)
        server.replace_bans(bans)
        log.info("%s read again: %d entries", self._path, len(bans))

    def guessed(self, event: WrongPassword) -> None:
        """Somebody gave a wrong password."""
        log.warning("%s gave a wrong password", event.host)
        if event.banned is not None:
            log.warning("%s is banned now; edit %s to lift that", event.host, self._path)
            self._banned(event.banned)
            add_ban(self._path, event.banned)

    def judge(self, host: str, *, right: bool) -> Verdict:
        """Somebody brought a password by another way than a session: what that gives."""
        if self.admission.is_banned(host):
            return Verdict.BANNED
        if not self.admission.take_ticket(host):
            return Verdict.BUSY
        if right:
            self.admission.succeeded(host)
            return Verdict.RIGHT
        self.guessed(WrongPassword(host=host, banned=self.admission.failed(host)))
        return Verdict.WRONG


def log_turned_away(event: TurnedAway) -> None:
    """Says who did not become a listener."""
    if event.code in (Code.BANNED, Code.FULL):
        why = "it is banned" if event.code is Code.BANNED else "the server is full"
        log.info("%s was turned away: %s", event.host, why)
    else:
        log.debug("%s: no session: %s (%s)", event.host, event.detail, event.code)
