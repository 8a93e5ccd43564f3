"""End to end between the two of a call or all of a room: pairs, and the keys of talkers.

Source: protocol 1, section 7. Our key is new for each stream and goes to each partner
under the pair's own; theirs come the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from echowarp.crypto.e2e import KEY_BYTES, PayloadOpener, PayloadSealer
from echowarp.session.exchange import RandomBytes
from echowarp.session.pairing import Pair, State, is_open

MAX_FAILURES = 5
"""With one partner, until the user acts."""
MAX_FAILURES_IN_ALL = 20
"""With all of them: a server could make up a new partner for each guess, or let the true one
prove the code between two of its own."""
KEYS_KEPT = 2
"""Of one talker: blocks of its last stream may still be on their way."""
MAX_EARLY = 32
"""People whose first message may wait for our being told of them."""


class Trust(NamedTuple):
    """Something has changed with a partner. state: PAIRED; FAILED or GIVEN_UP for a wrong
    code; AWAIT_OPEN or AWAIT_SHARE for one that does not answer."""

    user: int
    state: State


class _Failures:
    """Failures by the name of the partner, for its user id changes when it comes back."""

    def __init__(self) -> None:
        self.of_partner: Counter[str] = Counter()
        """Since it last proved the code."""
        self.in_all = 0

    def clear(self) -> None:
        self.of_partner.clear()
        self.in_all = 0

    def of(self, name: str) -> _Count:
        return _Count(self, name)


class _Count:
    """The failures with one partner."""

    def __init__(self, failures: _Failures, name: str) -> None:
        self._failures = failures
        self._name = name

    def failed(self) -> bool:
        self._failures.of_partner[self._name] += 1
        self._failures.in_all += 1
        return self.exhausted()

    def succeeded(self) -> None:
        del self._failures.of_partner[self._name]

    def exhausted(self) -> bool:
        failures = self._failures
        return (
            failures.of_partner[self._name] >= MAX_FAILURES
            or failures.in_all >= MAX_FAILURES_IN_ALL
        )


class EndToEnd:
    """All that one session has to do with a code. code: encoded as passwords are; user:
    our id in this session. A session that begins anew takes the old one's `failures`."""

    def __init__(
        self,
        *,
        code: bytes,
        user: int,
        random_bytes: RandomBytes,
        failures: _Failures | None = None,
    ) -> None:
        self.failures = failures or _Failures()
        self._code = code
        self._user = user
        self._random_bytes = random_bytes
        self._pairs: dict[int, Pair] = {}
        self._shown: dict[int, State] = {}
        self._unanswered: set[int] = set()
        """Of whom it was told already that they do not answer."""
        self._openers: dict[int, list[PayloadOpener]] = {}
        self._met: dict[int, list[PayloadOpener]] = {}
        """The last ones of everybody there was: a key that is told again opens nothing twice."""
        self._early: dict[int, bytes] = {}
        """The last OPEN of those who knew before us that we are partners."""
        self._key: bytes | None = None
        self._out: list[tuple[int, bytes]] = []
        self._events: list[Trust] = []

    @property
    def secure(self) -> bool:
        """Whether there are partners, and each has proved the code."""
        pairs = self._pairs.values()
        return bool(pairs) and all(pair.state is State.PAIRED for pair in pairs)

    def state(self, user: int) -> State | None:
        """Where we are with a partner, None for no partner."""
        pair = self._pairs.get(user)
        return None if pair is None else pair.state

    def set_partners(self, partners: Mapping[int, str], now_ns: int) -> None:
        """Whom we talk with from now on: user id and name, casefolded."""
        for user in tuple(self._pairs):
            if user not in partners:
                self._pairs.pop(user).abandon()
                self._unanswered.discard(user)
                for held in (self._shown, self._openers):
                    held.pop(user, None)
        for user, name in partners.items():
            if user not in self._pairs and user != self._user:
                self._pairs[user] = Pair(
                    own=self._user,
                    other=user,
                    code=self._code,
                    guesses=self.failures.of(name),
                    random_bytes=self._random_bytes,
                    now_ns=now_ns,
                )
                early = self._early.pop(user, None)
                if early is not None:
                    self._pairs[user].receive(early, now_ns)
                self._settle(user)

    def begin_stream(self) -> PayloadSealer:
        """A stream of ours begins: its sealer, whose key all partners are told."""
        self._key = self._random_bytes(KEY_BYTES)
        for user, pair in self._pairs.items():
            if pair.state is State.PAIRED:
                pair.send_key(self._key)
                self._settle(user)
        return PayloadSealer(self._key, self._user)

    def open(self, user: int, seq: int, time: int, sealed: bytes) -> bytes | None:
        """A partner's payload, once; None where we have no key that opens it."""
        for opener in self._openers.get(user, ()):
            payload = opener.open(seq, time, sealed)
            if payload is not None:
                return payload
        return None

    def receive(self, user: int, data: bytes, now_ns: int) -> None:
        """A message that says it is from `user`."""
        pair = self._pairs.get(user)
        if pair is None:
            # Whoever answers is A; anything else belongs to an exchange that is over.
            is_new = user in self._early or len(self._early) < MAX_EARLY
            if is_new and user > self._user and is_open(data):
                self._early[user] = data
            return
        key = pair.receive(data, now_ns)
        if key is not None and len(key) == KEY_BYTES:
            self._on_key(user, key)
        self._settle(user)

    def _on_key(self, user: int, key: bytes) -> None:
        met = self._met.get(user, [])
        newest = next((each for each in met if each.has(key)), None) or PayloadOpener(key, user)
        for held in (self._met, self._openers):
            others = [each for each in held.get(user, []) if each is not newest]
            held[user] = [newest, *others][:KEYS_KEPT]

    def begin_again(self, now_ns: int) -> None:
        """The user acts: failures are forgotten, and whoever failed is asked again."""
        self.failures.clear()
        self._unanswered.clear()
        self._each(lambda pair: pair.begin_again(now_ns))

    def timeout_ns(self) -> int | None:
        """When `handle_timeout` has something to do, or None."""
        due = (pair.timeout_ns() for pair in self._pairs.values())
        return min((each for each in due if each is not None), default=None)

    def handle_timeout(self, now_ns: int) -> None:
        """Does whatever is due."""
        self._each(lambda pair: pair.handle_timeout(now_ns))

    def to_send(self) -> list[tuple[int, bytes]]:
        """Drains (user, message)."""
        out, self._out = self._out, []
        return out

    def events(self) -> list[Trust]:
        """Drains what has changed."""
        events, self._events = self._events, []
        return events

    def _each(self, act: Callable[[Pair], None]) -> None:
        for user, pair in self._pairs.items():
            act(pair)
            self._settle(user)

    def _settle(self, user: int) -> None:
        pair = self._pairs[user]
        if pair.state is not self._shown.get(user):
            self._shown[user] = pair.state
            if pair.state is State.PAIRED:
                # What it sealed under an earlier pairing it will tell again.
                self._openers.pop(user, None)
                if self._key is not None:
                    pair.send_key(self._key)
            if pair.state in (State.PAIRED, State.FAILED, State.GIVEN_UP):
                self._events.append(Trust(user, pair.state))
        if pair.unanswered and user not in self._unanswered:
            self._unanswered.add(user)
            self._events.append(Trust(user, pair.state))
        pair.unanswered = False
        self._out += ((user, data) for data in pair.to_send())
