"""The bans of a running server: read at the start and again, and added to."""

from __future__ import annotations

import logging

from echowarp.app.ban_file import add_ban, read_ban_file
from echowarp.config.settings import Settings
from echowarp.session.admission import Admission
from echowarp.session.bans import BanList
from echowarp.session.server import Server
from echowarp.session.server_events import WrongPassword

log = logging.getLogger(__name__)


class BanKeeper:
    """Keeps the file and the server alike. The control thread owns it.

    guarded: whether there is a password to guess.
    """

    def __init__(self, settings: Settings, *, guarded: bool) -> None:
        self._path = settings.ban_list
        self._limit = settings.reconnect_attempt or None
        self.active = guarded and settings.reconnect_attempt > 0
        """Whether anybody is ever banned."""

    def admission(self) -> Admission:
        """Who may try, with what the file says."""
        bans = read_ban_file(self._path) if self.active else BanList()
        return Admission(limit=self._limit, bans=bans)

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
            add_ban(self._path, event.banned)
