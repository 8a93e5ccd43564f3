"""Does the tasks of a cache's client over one connection, which is made anew where need be."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import TracebackType

from echowarp.config.cache_options import CacheSettings
from echowarp.errors import ConfigError, ConnectError
from echowarp.net.websocket_link import Trust, WebSocketLink, is_loopback
from echowarp.session.cache_client import Listing, Task
from echowarp.wire.file_cache import Entry
from echowarp.wire.http_fields import HttpError
from echowarp.wire.http_target import WsUri, parse_ws_uri

log = logging.getLogger(__name__)

PATIENCE_S = 60.0
"""For anything to move: a server may take long to bring a large file to its disk."""
LISTING_PATIENCE_S = 5.0
"""Not every server answers what it does not know."""
EXPOSED = "whoever is on the way could read the password: give a wss:// URI"


def find_server(settings: CacheSettings) -> tuple[WsUri, str | None, Trust]:
    """Where the server is, the password that it gets, and how it is known. Raises ConfigError."""
    try:
        uri = parse_ws_uri(settings.server)
    except HttpError as error:
        raise ConfigError(f"--server {settings.server}: {error}") from error
    if not uri.secure and (settings.fingerprint is not None or settings.insecure):
        raise ConfigError("--fingerprint and --insecure are about TLS: give a wss:// URI")
    password = settings.password
    is_exposed = not uri.secure and not is_loopback(uri.host)
    if uri.credentials is not None:
        # Who names one in the URI means that one.
        if is_exposed:
            raise ConfigError(EXPOSED)
        password = None
    if password is not None and is_exposed:
        if settings.is_password_given:
            raise ConfigError(EXPOSED)
        log.warning("the password is not sent: whoever is on the way could read it")
        password = None
    trust = Trust(fingerprint=settings.fingerprint, insecure=settings.insecure)
    return uri, password, trust


class CacheLink:
    """A connection to a server.

    Raises ConnectError and RefusedError, also later, and RefusedError and ProtocolError for
    what the server answers.
    """

    def __init__(self, uri: WsUri, password: str | None, trust: Trust) -> None:
        self._made_of = (uri, password, trust)
        self._link = WebSocketLink(uri, password=password, trust=trust)

    def run(
        self,
        task: Task,
        on_turn: Callable[[], None] = lambda: None,
        *,
        patience_s: float = PATIENCE_S,
        until: Callable[[], bool] = lambda: False,
    ) -> None:
        """Works on a task until it is done, or until that. on_turn: called whenever something
        has moved."""
        link = self._link
        while not task.done and not until():
            frames = [] if link.has_unsent else task.to_send()
            if frames:
                link.send(frames)
            has_more = bool(frames) and not link.has_unsent
            messages = link.wait(0 if has_more else patience_s)
            if messages is None and not has_more:
                raise ConnectError(f"the server has not answered for {patience_s:g} s")
            for message in messages or ():
                if isinstance(message, str):
                    task.text(message)
                else:
                    task.binary(message)
            on_turn()

    def entries(self) -> tuple[Entry, ...] | None:
        """What the server has, None where it cannot tell."""
        listing = Listing()
        try:
            self.run(listing, patience_s=LISTING_PATIENCE_S)
        except ConnectError:
            # It left, or its answer may come when another is expected.
            self.close(hurried=True)
            uri, password, trust = self._made_of
            self._link = WebSocketLink(uri, password=password, trust=trust)
        return listing.entries

    def close(self, *, hurried: bool = False) -> None:
        """Ends the connection. Idempotent."""
        self._link.close(hurried=hurried)

    def __enter__(self) -> CacheLink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(hurried=error is not None)
