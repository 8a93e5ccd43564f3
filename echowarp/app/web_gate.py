"""Lets requests in at the web door, or says why not."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from echowarp.app.web_exchange import Exchange
from echowarp.app.web_messages import Judged, Tried
from echowarp.session.admission import Verdict
from echowarp.session.bans import BanList
from echowarp.session.web_login import (
    SESSION_NS,
    Access,
    Credentials,
    Visitor,
    WebLogin,
    is_known_name,
    is_own_fetch,
    is_own_origin,
)
from echowarp.wire.http import Request
from echowarp.wire.http_target import percent_encode
from echowarp.wire.http_values import basic_credentials, parse_cookies

NS_PER_S = 1_000_000_000
REFUSAL_DELAY_NS = NS_PER_S
"""As on the TCP port: a wrong guess is answered after so long."""
BANNED = "this address is banned after too many wrong passwords"
BUSY = "others from this address are giving passwords: try again"
WRONG = "wrong password"
NEEDS_TLS = (
    "a password is only taken over TLS, or on the machine itself: use https:// or wss://, "
    "on the same port"
)
NEEDS_PASSWORD = (
    "this needs the server's password: log in at /login, or send it as Authorization: Basic "
    "with any user, or as ?token=PASSWORD"
)
STRANGE_NAME = (
    "this server has no password, and then answers only to addresses, to local names, and to "
    "those in its certificate: give it a password, or a certificate for this name"
)
STRANGE_PAGE = "another site's page may not use this server"

Enter = Callable[[int], None]
Judge = Callable[[Exchange, Verdict, int], None]


class WebGate:
    """Decides who comes in, with what the server says about guesses.

    tell: tells the server; names: what the certificate calls this machine; port: in
    cookies' names, which know none. The server's thread owns it.
    """

    def __init__(
        self,
        login: WebLogin,
        tell: Callable[[Tried], None],
        *,
        names: frozenset[str],
        port: int,
    ) -> None:
        self.login = login
        self.bans = BanList()
        """Who is banned; replaced when the list was read again."""
        self._tell = tell
        self._names = names
        self._port = port
        self._numbers = count(1)
        self._judged: dict[int, tuple[Exchange, Judge]] = {}
        self._delayed: list[tuple[int, Exchange, Judge]] = []

    def is_allowed(self, exchange: Exchange, request: Request, now_ns: int) -> bool:
        """Whether it is answered at all. If not, it has been told why."""
        host = exchange.connection.host
        if self.login.wants_password and host in self.bans:
            exchange.say(403, BANNED, now_ns=now_ns)
            return False
        # What asks for a WebSocket and tells no origin is no browser, nor led by a page.
        is_program = "Upgrade" in request.headers and "Origin" not in request.headers
        is_known = is_program or is_known_name(request.host, self._names)
        if not self.login.wants_password and not is_known:
            exchange.say(421, STRANGE_NAME, now_ns=now_ns)
            return False
        return True

    def is_own(self, exchange: Exchange, request: Request) -> bool:
        """Whether a page of ours, or no page, asks."""
        origin, secure = request.headers.get("Origin"), exchange.connection.is_secure
        return is_own_origin(origin, request.host or None, is_secure=secure)

    def enter(self, exchange: Exchange, request: Request, enter: Enter, now_ns: int) -> None:
        """Calls `enter` at once or later, or says why not."""
        brought = self._brought(exchange, request)
        access = self.login.look_at(self._visitor(exchange), brought, now_ns)
        if access is Access.GRANTED:
            enter(now_ns)
        elif access is Access.NEEDS_TLS:
            self._send_to_tls(exchange, request, brought, now_ns)
        elif access is Access.NEEDS_LOGIN:
            self._ask_for_password(exchange, request, now_ns)
        else:

            def judged(asking: Exchange, verdict: Verdict, now_ns: int) -> None:
                if verdict is Verdict.RIGHT:
                    enter(now_ns)
                else:
                    refuse(asking, verdict, now_ns)

            self.judge(exchange, judged, right=access is Access.RIGHT)

    def look_at(self, exchange: Exchange, password: str, now_ns: int) -> Access:
        """What a password that came in a form is worth."""
        brought = Credentials(password=password)
        return self.login.look_at(self._visitor(exchange), brought, now_ns)

    def judge(self, exchange: Exchange, judge: Judge, *, right: bool) -> None:
        """Has the server count a guess, and calls `judge` with what it says."""
        number = next(self._numbers)
        self._judged[number] = (exchange, judge)
        exchange.connection.is_read = False
        self._tell(Tried(number, exchange.connection.host, right))

    def on_judged(self, judged: Judged, now_ns: int) -> None:
        """The server has said it."""
        exchange, judge = self._judged.pop(judged.number)
        if judged.verdict is Verdict.WRONG:
            self._delayed.append((now_ns + REFUSAL_DELAY_NS, exchange, judge))
        elif not exchange.connection.is_closing:
            judge(exchange, judged.verdict, now_ns)
            exchange.resume(now_ns)

    def tick(self, now_ns: int) -> None:
        """Time has passed."""
        due = [each for each in self._delayed if now_ns >= each[0]]
        self._delayed = [each for each in self._delayed if now_ns < each[0]]
        for _, exchange, judge in due:
            if not exchange.connection.is_closing:
                judge(exchange, Verdict.WRONG, now_ns)
                exchange.resume(now_ns)

    def token_of(self, exchange: Exchange, request: Request) -> str | None:
        """The session that a request brings."""
        return parse_cookies(request.headers).get(self._cookie_name(exchange))

    def cookie(self, exchange: Exchange, token: str) -> tuple[str, str]:
        """The field that begins a session; one without a token ends it."""
        age_s = SESSION_NS // NS_PER_S if token else 0
        secure = "; Secure" if exchange.connection.is_secure else ""
        value = f"{self._cookie_name(exchange)}={token}; Path=/; Max-Age={age_s}; HttpOnly"
        return ("Set-Cookie", f"{value}; SameSite=Lax{secure}")

    def _cookie_name(self, exchange: Exchange) -> str:
        prefix = "__Host-" if exchange.connection.is_secure else ""
        return f"{prefix}echowarp-{self._port}"

    @staticmethod
    def _visitor(exchange: Exchange) -> Visitor:
        connection = exchange.connection
        return Visitor(host=connection.host, is_secure=connection.is_secure)

    def _brought(self, exchange: Exchange, request: Request) -> Credentials:
        basic = basic_credentials(request.headers)
        password = request.query.get("token") if basic is None else basic[1]
        if not is_own_fetch(request.headers.get("Sec-Fetch-Site")):
            # A stranger's page could have its readers banned by what it gives them to load.
            password = None
        return Credentials(session=self.token_of(exchange, request), password=password)

    @staticmethod
    def _send_to_tls(
        exchange: Exchange, request: Request, brought: Credentials, now_ns: int
    ) -> None:
        # What was said in the open is not repeated, nor a way shown that repeats it.
        is_plain = brought.password is None and "Upgrade" not in request.headers
        if is_plain and request.method in ("GET", "HEAD") and request.host:
            path = "/".join(map(percent_encode, request.path.split("/")))
            where = ("Location", f"https://{request.host}{path}")
            exchange.say(307, NEEDS_TLS, (where,), now_ns=now_ns)
        else:
            exchange.say(403, NEEDS_TLS, now_ns=now_ns)

    @staticmethod
    def _ask_for_password(exchange: Exchange, request: Request, now_ns: int) -> None:
        if request.path == "/":
            exchange.say(303, NEEDS_PASSWORD, (("Location", "/login"),), now_ns=now_ns)
            return
        # A page must not make its browser ask in a way of its own.
        of_browser = "Origin" in request.headers or "Sec-Fetch-Mode" in request.headers
        scheme = "Session" if of_browser else "Basic"
        challenge = ("WWW-Authenticate", f'{scheme} realm="EchoWarp", charset="UTF-8"')
        exchange.say(401, NEEDS_PASSWORD, (challenge,), now_ns=now_ns)


def refuse(exchange: Exchange, verdict: Verdict, now_ns: int) -> None:
    """Says what came of a guess."""
    if verdict is Verdict.BANNED:
        exchange.say(403, BANNED, now_ns=now_ns)
    elif verdict is Verdict.BUSY:
        exchange.say(429, BUSY, (("Retry-After", "1"),), now_ns=now_ns)
    else:
        challenge = ("WWW-Authenticate", 'Session realm="EchoWarp"')
        exchange.say(401, WRONG, (challenge,), now_ns=now_ns)
