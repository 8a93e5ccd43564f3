"""Who may use the web door: passwords, sessions, and what a request may be answered.

It decides and keeps no time: a request is looked at alone, and what guesses count for is
the work of `Admission`, as for every other connection.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import Enum, auto

from echowarp.crypto.password import encode_password
from echowarp.errors import ConfigError
from echowarp.session.address import plain_host

NS_PER_S = 1_000_000_000
TOKEN_BYTES = 32
SESSION_NS = 7 * 24 * 3600 * NS_PER_S
"""How long a session lasts after its last use."""
MAX_SESSIONS = 1024
"""The one that was not used for longest makes room."""
PRIVATE_SUFFIXES = (".local", ".lan", ".home", ".internal", ".localhost", ".home.arpa")
"""Names that no stranger can have pointed at this machine."""


class Access(Enum):
    """What is to be done with a request that wants something."""

    GRANTED = auto()
    NEEDS_TLS = auto()
    """A password is set, and all that is said here can be read on the way."""
    NEEDS_LOGIN = auto()
    RIGHT = auto()
    """It brings the password. It still counts as a guess, so that a banned address has
    no use of it."""
    WRONG = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a request brings. Any may be missing.

    session: the cookie's token; password: from `Authorization: Basic` or `?token=`.
    """

    session: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who asks. host: a numeric address; is_secure: by TLS."""

    host: str
    is_secure: bool

    @property
    def is_unheard(self) -> bool:
        """Whether nobody on the way can read along."""
        return self.is_secure or ipaddress.ip_address(plain_host(self.host)).is_loopback


class WebLogin:
    """The password of the door and the sessions of those who gave it.

    prs: encoded password, empty for none.
    """

    def __init__(self, prs: bytes, *, random_bytes: Callable[[int], bytes]) -> None:
        self._prs_digest = hashlib.sha256(prs).digest() if prs else None
        self._random_bytes = random_bytes
        self._sessions: OrderedDict[str, int] = OrderedDict()
        """By token: when each ends, the least recently used first."""

    @property
    def wants_password(self) -> bool:
        """Whether there is one."""
        return self._prs_digest is not None

    def look_at(self, visitor: Visitor, brought: Credentials, now_ns: int) -> Access:
        """Decides about one request."""
        if self._prs_digest is None:
            return Access.GRANTED
        if not visitor.is_unheard:
            return Access.NEEDS_TLS
        if brought.session is not None and self._is_in_session(brought.session, now_ns):
            return Access.GRANTED
        if brought.password is None:
            return Access.NEEDS_LOGIN
        return Access.RIGHT if self._is_right(brought.password) else Access.WRONG

    def begin(self, now_ns: int) -> str:
        """A new session. Returns its token, which fits a cookie."""
        token = self._random_bytes(TOKEN_BYTES).hex()
        self._sessions[token] = now_ns + SESSION_NS
        while len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return token

    def end(self, token: str) -> None:
        """Ends a session, if there is such a one."""
        self._sessions.pop(token, None)

    def _is_in_session(self, token: str, now_ns: int) -> bool:
        ends_ns = self._sessions.get(token)
        if ends_ns is None:
            return False
        if now_ns >= ends_ns:
            del self._sessions[token]
            return False
        self._sessions[token] = now_ns + SESSION_NS
        self._sessions.move_to_end(token)
        return True

    def _is_right(self, password: str) -> bool:
        try:
            guess = encode_password(password)
        except ConfigError:
            # Nobody's password is like that.
            return False
        assert self._prs_digest is not None
        return hmac.compare_digest(hashlib.sha256(guess).digest(), self._prs_digest)


def is_own_origin(origin: str | None, host: str | None, *, is_secure: bool) -> bool:
    """Whether a page of ours, or no page at all, makes the request.

    origin, host: the headers. Browsers tell the origin of every WebSocket and every POST;
    other programs do not.
    """
    if origin is None:
        return True
    scheme = "https" if is_secure else "http"
    return host is not None and origin.lower() == f"{scheme}://{host.lower()}"


def is_own_fetch(site: str | None) -> bool:
    """Whether a page of ours, a person or another program than a browser makes the request.

    site: the Sec-Fetch-Site header, which browsers send where nobody can read along.
    """
    return site is None or site.lower() in ("none", "same-origin")


def is_known_name(host: str | None, own_names: Collection[str]) -> bool:
    """Whether the name that a request was sent to can be meant for this machine.

    A page of a stranger can let a name of its own point here after it was loaded, and is
    of one origin with us then. An address, a name without a domain, one of a private
    network and the names in our certificate are nothing that a stranger can have.
    host: the Host header; own_names: in lower case.
    """
    if not host:
        return False
    name = host.lower()
    if name.startswith("["):
        return "]" in name
    name = name.rpartition(":")[0] if ":" in name else name
    name = name.rstrip(".")
    try:
        ipaddress.ip_address(name)
        return True
    except ValueError:
        return bool(name) and (
            "." not in name or name.endswith(PRIVATE_SUFFIXES) or name in own_names
        )
