"""End to end as a talker has it: the code, with whom it was proved, and who is not heard."""

from __future__ import annotations

import logging
import os

from echowarp.app import talk_words
from echowarp.crypto.e2e import PayloadSealer
from echowarp.session.company import Company
from echowarp.session.e2e import EndToEnd
from echowarp.session.names import parse_name
from echowarp.session.pairing import State
from echowarp.session.uplink import is_sealed
from echowarp.wire.pairing import PairMessage, PairType, pack_pair
from echowarp.wire.records import Stream

log = logging.getLogger(__name__)

FAILED = (State.FAILED, State.GIVEN_UP)
MAX_SHUT = 200
"""Blocks one after the other that do not open: a second of them. A few are on their way when
a key changes."""


class TalkSafety:
    """The control thread's, but for `open_payload`. code: of --e2e, encoded, None without."""

    def __init__(self, company: Company, code: bytes | None) -> None:
        self._company = company
        self._code = code
        self._e2e: EndToEnd | None = None
        self._told: set[int] = set()
        """Users of whom was said that they are not heard."""
        self._shut: dict[int, int] = {}
        """Of each user, blocks that did not open since the last that did."""
        self._failed: set[int] = set()
        """Users of whom was said that they have another code: it is tried more than once."""

    def begin(self, user: int) -> None:
        """A session began, in which our id is `user`."""
        self._told.clear()
        self._failed.clear()
        self._shut.clear()
        if self._code is not None:
            failures = None
            if self._e2e is not None:
                self._e2e.set_partners({}, 0)
                failures = self._e2e.failures
            self._e2e = EndToEnd(
                code=self._code, user=user, random_bytes=os.urandom, failures=failures
            )

    def open_payload(self, user: int, seq: int, time: int, payload: bytes) -> bytes | None:
        """Opens what a user has sealed. From any thread."""
        e2e = self._e2e
        opened = None if e2e is None else e2e.open(user, seq, time, payload)
        self._shut[user] = self._shut.get(user, 0) + 1 if opened is None else 0
        return opened

    def begin_stream(self) -> PayloadSealer | None:
        """What seals a stream of ours that begins, None for nothing."""
        return None if self._e2e is None else self._e2e.begin_stream()

    def allows(self, hearers: frozenset[int]) -> bool | None:
        """Whether any of those may hear us; None where no code was asked for."""
        e2e = self._e2e
        if e2e is None:
            return None
        return any(e2e.state(user) is State.PAIRED for user in hearers)

    def receive(self, user: int, data: bytes, now_ns: int) -> None:
        """Another client says something about the code: of which we may have none."""
        if self._e2e is not None:
            self._e2e.receive(user, data, now_ns)
        elif user in self._company.hearers:
            self._tell_unheard(user, sealed=True)

    def retry(self, now_ns: int) -> None:
        """The user wants the code tried again with whom it failed."""
        if self._e2e is None:
            log.warning("there is no code to try again: it is given with --e2e")
        else:
            log.info("the code is tried again with whom it failed")
            self._failed.clear()
            self._e2e.begin_again(now_ns)

    def timeout_ns(self) -> int | None:
        """When `handle_timeout` has something to do, or None."""
        return None if self._e2e is None else self._e2e.timeout_ns()

    def handle_timeout(self, now_ns: int) -> None:
        """Does whatever is due."""
        if self._e2e is not None:
            self._e2e.handle_timeout(now_ns)

    def pair(self, now_ns: int) -> None:
        """Proves the code to whom we talk with, and tells how that went."""
        e2e, company = self._e2e, self._company
        if e2e is None:
            return
        if company.user:
            people = {user: company.users[user] for user in company.hearers}
            keys = {user: parse_name(person.name).key for user, person in people.items()}
            e2e.set_partners(keys, now_ns)
            self._tell_shut(e2e)
        for trust in e2e.events():
            if trust.state is State.FAILED and trust.user in self._failed:
                continue
            (self._failed.add if trust.state is State.FAILED else self._failed.discard)(trust.user)
            self._shut.pop(trust.user, None)
            words = talk_words.TRUST[trust.state].format(name=self._name(trust.user))
            log.log(logging.INFO if trust.state is State.PAIRED else logging.WARNING, words)

    def _tell_shut(self, e2e: EndToEnd) -> None:
        for user in self._company.hearers:
            is_shut = self._shut.get(user, 0) >= MAX_SHUT
            if is_shut and user not in self._told and e2e.state(user) is State.PAIRED:
                self._told.add(user)
                log.warning(talk_words.SHUT.format(name=self._name(user)))

    def send(self) -> None:
        """Hands what is to be said about the code to the company."""
        if self._e2e is not None:
            for user, data in self._e2e.to_send():
                self._company.say(user, data)

    def refuses(self, stream: Stream) -> bool:
        """Whether a talker's stream is not played: sealed without our having a code, or
        not sealed though we have one."""
        if stream.user == 0:
            if self._e2e is not None and 0 not in self._told:
                self._told.add(0)
                log.warning(talk_words.SERVERS_OWN)
            return False
        if is_sealed(stream) == (self._e2e is not None):
            return False
        self._tell_unheard(stream.user, sealed=is_sealed(stream))
        return True

    def _tell_unheard(self, user: int, *, sealed: bool) -> None:
        if user not in self._told:
            self._told.add(user)
            if not sealed:  # They, who have no code, may not have been asked for one yet.
                self._company.say(user, pack_pair(PairMessage(PairType.WRONG, b"")))
            log.warning(talk_words.unheard(self._name(user), sealed=sealed))

    @property
    def words(self) -> str:
        """How safe it is, "" where nothing was asked for, or nobody is there to hear us."""
        e2e = self._e2e
        if e2e is None:
            return ""
        if e2e.secure:
            return "end to end"
        states = [e2e.state(user) for user in self._company.hearers]
        if not states:
            return ""
        return "wrong code" if any(state in FAILED for state in states) else "code not compared"

    def _name(self, user: int) -> str:
        person = self._company.users.get(user)
        return f"user {user}" if person is None else person.name
