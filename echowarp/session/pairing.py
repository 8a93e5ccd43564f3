"""Two people prove to each other, through a server that is not trusted, that they have the
same code: CPace once more, and then keys that travel sealed.

Source: protocol 1, section 7. The higher user id is the responder B, and begins with its
nonce. A confirms first, as a client does to a server: whoever plays B learns one guess by
it, so an exchange that breaks off after A's proof is a failure too.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol

from echowarp.crypto import cpace
from echowarp.crypto.e2e import PAIR_CHANNEL_ID, PairKeys, pair_keys
from echowarp.crypto.record import RecordOpener, RecordSealer
from echowarp.crypto.schedule import tags_equal
from echowarp.errors import ProtocolError
from echowarp.session.exchange import SCALAR_BYTES, RandomBytes
from echowarp.wire.pairing import NONCE_BYTES, PairMessage, PairType, pack_pair, parse_pair

NS_PER_S = 1_000_000_000
ANSWER_NS = 10 * NS_PER_S
"""So long an answer may take; then the exchange begins anew."""
RETRY_NS = 2 * NS_PER_S
"""After a failure."""
MIN_EXCHANGE_NS = NS_PER_S
"""Exchanges begin no more often, whatever comes: each costs a point multiplication."""


class State(Enum):
    """Where the two are."""

    AWAIT_OPEN = auto()
    AWAIT_SHARE = auto()
    AWAIT_REPLY = auto()
    AWAIT_CONFIRM = auto()
    AWAIT_ACCEPT = auto()
    """Our proof is out."""
    PAIRED = auto()
    FAILED = auto()
    """Once more, soon."""
    GIVEN_UP = auto()
    """Too many failures: only the user begins again."""


_BEGIN = {State.AWAIT_OPEN, State.AWAIT_SHARE, State.AWAIT_REPLY}
_STOP = {State.FAILED, State.GIVEN_UP}
TRANSITIONS: dict[State, set[State]] = {
    State.AWAIT_OPEN: _BEGIN | _STOP,
    State.AWAIT_SHARE: _BEGIN | {State.AWAIT_CONFIRM} | _STOP,
    State.AWAIT_REPLY: _BEGIN | {State.AWAIT_ACCEPT} | _STOP,
    State.AWAIT_CONFIRM: _BEGIN | {State.PAIRED} | _STOP,
    State.AWAIT_ACCEPT: _BEGIN | {State.PAIRED} | _STOP,
    State.PAIRED: _BEGIN | _STOP,
    State.FAILED: _BEGIN | _STOP,
    State.GIVEN_UP: {State.AWAIT_OPEN, State.AWAIT_SHARE},
}


class Guesses(Protocol):
    """Counts the failures with one partner."""

    def failed(self) -> bool:
        """One more; whether it was one too many."""

    def succeeded(self) -> None:
        """The code was right."""

    def exhausted(self) -> bool:
        """Whether there may be no further attempt."""


def is_open(data: bytes) -> bool:
    """Whether a message begins an exchange."""
    try:
        message = parse_pair(data)
    except ProtocolError:
        return False
    return message is not None and message.kind is PairType.OPEN


class Pair:
    """Our side of one pair. own, other: user ids; code: as the password is encoded."""

    def __init__(
        self,
        *,
        own: int,
        other: int,
        code: bytes,
        guesses: Guesses,
        random_bytes: RandomBytes,
        now_ns: int,
    ) -> None:
        assert own != other, "nobody is a pair with itself"
        self.state = State.FAILED
        self.unanswered = False
        """Whether the other has let an answer be waited for in vain, at the beginning."""
        self._is_a = own < other
        self._ids = b"".join(each.to_bytes(2, "big") for each in sorted((own, other)))
        self._code = code
        self._guesses = guesses
        self._random_bytes = random_bytes
        self._deadline_ns: int | None = None
        self._begun_ns: int | None = None
        self._transcript = b""
        self._private = b""
        self._generator = b""
        self._public = b""
        self._nonce = b""
        self._keys: PairKeys | None = None
        self._sealer: RecordSealer | None = None
        self._opener: RecordOpener | None = None
        self._out: list[bytes] = []
        if guesses.exhausted():
            self._to(State.GIVEN_UP)
        else:
            self._begin(now_ns)

    def begin_again(self, now_ns: int) -> None:
        """The user wants another attempt: not so soon after the last one that the other, who
        is kept busy by nobody, would not hear of it."""
        if self.state not in _STOP:
            return
        is_soon = self._begun_ns is not None and now_ns - self._begun_ns < RETRY_NS
        if is_soon and not self._is_a:
            assert self._begun_ns is not None
            self._deadline_ns = self._begun_ns + RETRY_NS
        else:
            self._begin(now_ns)

    def receive(self, data: bytes, now_ns: int) -> bytes | None:
        """A message of the other's; gives the key that it brings, if it does.

        What is out of turn, or of no shape, is ignored: the server may say anything.
        """
        try:
            message = parse_pair(data)
            return None if message is None else self._on_message(message, now_ns)
        except ProtocolError:
            return None

    def send_key(self, key: bytes) -> None:
        """Tells the other the key of our stream. Only when PAIRED."""
        assert self._sealer is not None, "a key is for who has proved the code"
        self._say(PairType.KEY, self._sealer.seal(key))

    def timeout_ns(self) -> int | None:
        """When `handle_timeout` has something to do, or None."""
        return self._deadline_ns

    def abandon(self) -> None:
        """The other is gone. If it has our proof and gave none, that was a guess."""
        if self.state is State.AWAIT_ACCEPT:
            self._guesses.failed()

    def handle_timeout(self, now_ns: int) -> None:
        """Begins anew what was not answered, or failed."""
        if self._deadline_ns is None or now_ns < self._deadline_ns:
            return
        if self.state is State.AWAIT_ACCEPT:
            self._fail(now_ns)
            return
        self.unanswered = self.state in (State.AWAIT_OPEN, State.AWAIT_SHARE)
        if self.state is State.AWAIT_OPEN:
            self._deadline_ns = None
        else:
            self._begin(now_ns)

    def to_send(self) -> list[bytes]:
        """Drains the messages for the other."""
        out, self._out = self._out, []
        return out

    def _on_message(self, message: PairMessage, now_ns: int) -> bytes | None:
        kind, body = message
        if kind is PairType.KEY:
            return self._on_key(body, now_ns)
        if kind is PairType.OPEN and self._is_a:
            self._on_open(body, now_ns)
        elif kind is PairType.SHARE and self.state is State.AWAIT_SHARE:
            self._on_share(body, now_ns)
        elif kind is PairType.REPLY and self.state is State.AWAIT_REPLY:
            self._on_reply(body, now_ns)
        elif kind is PairType.CONFIRM and self.state is State.AWAIT_CONFIRM:
            assert self._keys is not None
            if tags_equal(body, self._keys.confirm_a):
                self._say(PairType.ACCEPT, self._keys.confirm_b)
                self._paired()
            else:
                self._say(PairType.WRONG, b"")
                self._fail(now_ns)
        elif kind is PairType.ACCEPT and self.state is State.AWAIT_ACCEPT:
            assert self._keys is not None
            if tags_equal(body, self._keys.confirm_b):
                self._paired()
            else:
                self._fail(now_ns)
        elif kind is PairType.WRONG and self.state is State.AWAIT_ACCEPT:
            self._fail(now_ns)
        return None

    def _begin(self, now_ns: int) -> None:
        self._keys = self._sealer = self._opener = None
        if self._is_a:
            self._to(State.AWAIT_OPEN, now_ns + ANSWER_NS)
            return
        self._begun_ns = now_ns
        self._nonce = self._random_bytes(NONCE_BYTES)
        self._transcript = self._ids
        self._say(PairType.OPEN, self._nonce, note=True)
        self._to(State.AWAIT_SHARE, now_ns + ANSWER_NS)

    def _on_open(self, body: bytes, now_ns: int) -> None:
        soon = self._begun_ns is not None and now_ns - self._begun_ns < MIN_EXCHANGE_NS
        if soon or self.state is State.GIVEN_UP:
            return
        # It had our proof, and begins anew instead of giving its own.
        if self.state is State.AWAIT_ACCEPT and self._fail(now_ns):
            return
        self._begun_ns = now_ns
        self._keys = self._sealer = self._opener = None
        nonce = self._random_bytes(NONCE_BYTES)
        self._transcript = self._ids + pack_pair(PairMessage(PairType.OPEN, body))
        self._make_share(body + nonce)
        self._say(PairType.SHARE, nonce + self._public, note=True)
        self._to(State.AWAIT_REPLY, now_ns + ANSWER_NS)

    def _on_share(self, body: bytes, now_ns: int) -> None:
        nonce, theirs = body[:NONCE_BYTES], body[NONCE_BYTES:]
        self._transcript += pack_pair(PairMessage(PairType.SHARE, body))
        self._make_share(self._nonce + nonce)
        shared = cpace.shared_secret(self._private, theirs)
        self._say(PairType.REPLY, self._public, note=True)
        self._finish(self._nonce + nonce, shared, theirs, self._public)
        self._to(State.AWAIT_CONFIRM, now_ns + ANSWER_NS)

    def _on_reply(self, theirs: bytes, now_ns: int) -> None:
        shared = cpace.shared_secret(self._private, theirs)
        self._transcript += pack_pair(PairMessage(PairType.REPLY, theirs))
        self._finish(self._nonce, shared, self._public, theirs)
        assert self._keys is not None
        self._say(PairType.CONFIRM, self._keys.confirm_a)
        self._to(State.AWAIT_ACCEPT, now_ns + ANSWER_NS)

    def _on_key(self, body: bytes, now_ns: int) -> bytes | None:
        if self.state is not State.PAIRED or self._opener is None:
            return None
        try:
            return self._opener.open(body)
        except ProtocolError:
            # One was changed or lost on its way, so no further one can be opened.
            self._begin(now_ns)
            return None

    def _make_share(self, sid: bytes) -> None:
        if self._is_a:
            self._nonce = sid
        generator = cpace.calculate_generator(self._code, PAIR_CHANNEL_ID, sid, self._random_bytes)
        self._private = self._random_bytes(SCALAR_BYTES)
        self._public = cpace.public_key(self._private, generator)

    def _finish(self, sid: bytes, shared: bytes, ya: bytes, yb: bytes) -> None:
        isk = cpace.intermediate_session_key(sid, shared, ya, self._ids[:2], yb, self._ids[2:])
        self._keys = pair_keys(isk, self._transcript)

    def _paired(self) -> None:
        assert self._keys is not None
        seal, opening = self._keys.seal_a, self._keys.seal_b
        if not self._is_a:
            seal, opening = opening, seal
        self._sealer, self._opener = RecordSealer(seal), RecordOpener(opening)
        self._guesses.succeeded()
        self._to(State.PAIRED)

    def _fail(self, now_ns: int) -> bool:
        """Counts a failure; whether it was one too many."""
        final = self._guesses.failed()
        if final:
            self._to(State.GIVEN_UP)
        else:
            self._to(State.FAILED, now_ns + RETRY_NS)
        return final

    def _say(self, kind: PairType, body: bytes, *, note: bool = False) -> None:
        data = pack_pair(PairMessage(kind, body))
        if note:
            self._transcript += data
        self._out.append(data)

    def _to(self, state: State, deadline_ns: int | None = None) -> None:
        assert state in TRANSITIONS[self.state], f"{self.state} -> {state}"
        self.state = state
        self._deadline_ns = deadline_ns
