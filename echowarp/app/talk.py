"""A client that talks: its people, its call, its voice and what it hears, over all sessions.

The control thread owns it. Others `post` what the user wants and look at `view`, which is
replaced whole.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import SimpleQueue

from echowarp.app import talk_words
from echowarp.app.datagram_link import DatagramLink
from echowarp.app.talk_ears import TalkEars
from echowarp.app.voice import State as VoiceState
from echowarp.app.voice import Voice, VoiceReport
from echowarp.errors import ConfigError, ConnectError, EchoWarpError, RefusedError
from echowarp.media.format import NS_PER_S
from echowarp.session.calls import EXIT_STATUS
from echowarp.session.client_session import Started
from echowarp.session.company import (
    CallChanged,
    Came,
    Changed,
    Company,
    CompanyEvent,
    Entered,
    Message,
    Refused,
    RoomChanged,
    Stage,
    Went,
)
from echowarp.session.e2e import EndToEnd
from echowarp.session.names import parse_name
from echowarp.session.pairing import State as PairState
from echowarp.session.speech import Speech
from echowarp.session.uplink import is_sealed
from echowarp.wire.people import PeopleRecord, User
from echowarp.wire.people_codes import CallState, Presence
from echowarp.wire.records import End, Record, Stream, UdpOk

log = logging.getLogger(__name__)

ENTER_NS = NS_PER_S
"""Our name is said when our datagrams are heard, so that nobody talks to a way that is
not open; where they are not, after so long."""
LEAVE_NS = NS_PER_S
"""How long the last sound of a call may take to come and to be played."""
SETTLE_NS = NS_PER_S
"""How long two sounds that have both ended are kept in touch: blocks may be asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TalkView:
    """What is shown of a talker.

    state: in a word or a few; e2e: how safe it is, "" where nothing was asked for.
    """

    state: str = "connecting"
    user: int = 0
    name: str = ""
    stage: Stage = Stage.NONE
    partner: int = 0
    room: str = ""
    users: Mapping[int, User] = field(default_factory=dict)
    muted: bool = False
    voice: VoiceReport | None = None
    e2e: str = ""


class Talk:
    """One talker.

    code: of --e2e, encoded, None without; only_call: the program ends with its call;
    voice: None for who only hears; ears: what is heard.
    """

    def __init__(
        self,
        company: Company,
        *,
        voice: Voice | None,
        ears: TalkEars,
        speech: Speech,
        code: bytes | None,
        auto_answer: bool,
        only_call: bool,
        wake: Callable[[], None],
    ) -> None:
        self._company = company
        self._voice = voice
        self._ears = ears
        self._speech = speech
        self._code = code
        self._auto_answer = auto_answer
        self._only_call = only_call
        self._wake = wake
        self._e2e: EndToEnd | None = None
        self._link: DatagramLink | None = None
        self._wanted: SimpleQueue[Callable[[int], None]] = SimpleQueue()
        self._enter_ns: int | None = None
        self._own_user = 0
        self._server_talks = False
        self._in_call = False
        self._ending_ns: int | None = None
        self._error: EchoWarpError | None = None
        self._both_done_ns: int | None = None
        self._told_unsafe: set[int] = set()
        self._volumes: dict[str, float] = {}
        self._out: list[Record] = []
        self.is_over = False
        """Whether the session is to be closed: the program's one call has ended."""
        self.view = TalkView()
        ears.refuses = self._refuses
        ears.name_of = self._name

    # From any thread.

    def post(self, action: Callable[[int], None]) -> None:
        """Has the control thread do what the user wants, with the time."""
        self._wanted.put(action)
        self._wake()

    def open_payload(self, user: int, seq: int, time: int, payload: bytes) -> bytes | None:
        """Opens what a user has sealed end to end."""
        e2e = self._e2e
        return None if e2e is None else e2e.open(user, seq, time, payload)

    # What the user may want: on the control thread, through `post`.

    def call(self, name: str, now_ns: int) -> None:
        """Calls somebody."""
        self._company.call(name)

    def answer(self, now_ns: int) -> None:
        """Answers whoever calls."""
        if self._company.stage is not Stage.INCOMING:
            log.info("nobody is calling")
        self._company.answer()

    def hang_up(self, now_ns: int) -> None:
        """Ends the call, or declines the one that rings."""
        if self._company.stage is Stage.NONE:
            log.info("there is no call")
        self._company.hang_up()

    def decline(self, now_ns: int) -> None:
        """Declines the call that rings."""
        if self._company.stage is Stage.INCOMING:
            self._company.hang_up()

    def go(self, room: str, now_ns: int) -> None:
        """Goes to a room, empty: out."""
        self._company.go(room)

    def set_volume(self, name: str, percent: float, now_ns: int) -> None:
        """How loud somebody is played."""
        key = parse_name(name).key
        self._volumes[key] = percent
        for user, person in self._company.users.items():
            if parse_name(person.name).key == key:
                self._ears.set_volume(user, percent)

    def retry_code(self, now_ns: int) -> None:
        """Tries the code again with whom it failed."""
        if self._e2e is not None:
            self._e2e.begin_again(now_ns)

    # On the control thread, from the connection.

    @property
    def call_is_lost(self) -> bool:
        """Whether a connected call waits for a session."""
        return self._company.call_is_lost

    def begin(self, started: Started, link: DatagramLink, now_ns: int) -> None:
        """A session began."""
        self._link, self._server_talks = link, False
        self._company.begin(started.user, started.resume)
        self._enter_ns = now_ns + ENTER_NS
        if self._voice is not None:
            self._voice.attach(link)
        if self._code is not None:
            failures = None if self._e2e is None else self._e2e.failures
            self._e2e = EndToEnd(
                code=self._code, user=started.user, random_bytes=os.urandom, failures=failures
            )
        self._own_user = started.user
        self._told_unsafe.clear()

    def session_over(self, now_ns: int) -> bool:
        """The session is over; whether the program is, as its call has ended."""
        if self._link is not None:
            self._link = None
            if self._voice is not None:
                self._voice.detach()
            self._company.session_lost(now_ns)
            self._ears.forget_session()
        self._company.handle_timeout(now_ns)
        self._on_events(now_ns)
        if self._error is not None or (self._only_call and self._ending_ns is not None):
            self.is_over = True
        self._show()
        return self.is_over

    def raise_error(self) -> None:
        """Raises what the program's call ended with, if it was no success."""
        if self._error is not None:
            raise self._error

    def receive(self, record: Record, now_ns: int) -> bool:
        """A record of the server's; whether nobody else needs it."""
        if isinstance(record, PeopleRecord):
            self._company.receive(record)
            self._on_events(now_ns)
            return True
        voice = self._voice
        if isinstance(record, Stream):
            if record.user == 0:
                self._server_talks = True
            elif record.user == self._own_user:
                if voice is not None:
                    voice.announced(record, now_ns)
                return True
        elif isinstance(record, End) and voice is not None and record.stream == 0:
            if voice.state is VoiceState.ASKED and not self._server_talks:
                voice.refused()
                log.warning("the server does not take our stream: nobody hears us")
                return True
        elif isinstance(record, UdpOk) and self._enter_ns is not None:
            self._enter_ns = now_ns
        return False

    def timeout_ns(self) -> int:
        """When `act` wants to be called."""
        e2e = None if self._e2e is None else self._e2e.timeout_ns()
        due = (
            *(self._enter_ns, self._ending_ns, self._both_done_ns, e2e),
            self._company.timeout_ns(),
        )
        return min((each for each in due if each is not None), default=1 << 62)

    def act(self, now_ns: int) -> None:
        """Does what the user wants and what is due. Raises NumbersSpent."""
        while not self._wanted.empty():
            try:
                self._wanted.get()(now_ns)
            except ConfigError as error:
                log.warning("%s", error)
        if self._enter_ns is not None and now_ns >= self._enter_ns:
            self._enter_ns = None
            self._company.enter()
        self._company.handle_timeout(now_ns)
        if self._e2e is not None:
            self._e2e.handle_timeout(now_ns)
        self._on_events(now_ns)
        self._talk(now_ns)
        self._end_call(now_ns)
        self._show()

    def to_send(self) -> list[Record]:
        """Drains the records for the server. Keys go before the streams that they open."""
        out, self._out = self._out, []
        if self._e2e is not None:
            for user, data in self._e2e.to_send():
                self._company.say(user, data)
        out += self._company.to_send()
        if self._voice is not None:
            out += self._voice.to_send()
        return out

    # What follows from it.

    def _talk(self, now_ns: int) -> None:
        """Begins our stream when somebody is to hear it, ends it when nobody is."""
        voice = self._voice
        if voice is None:
            return
        is_heard = self._is_heard()
        if is_heard and voice.state is VoiceState.QUIET and not voice.has_ended:
            voice.begin(None if self._e2e is None else self._e2e.begin_stream())
        elif not is_heard and voice.state in (VoiceState.ASKED, VoiceState.RUNNING):
            voice.end()
        voice.act(now_ns)
        presence = Presence.MUTED if self._speech.muted else Presence(0)
        if voice.state is VoiceState.RUNNING and self._speech.talking(now_ns):
            presence |= Presence.TALKING
        self._company.appear(presence)

    def _is_heard(self) -> bool:
        company = self._company
        if not company.user or self._link is None or not self._link.heard:
            return False
        hearers, e2e = company.hearers, self._e2e
        if e2e is not None:
            return any(e2e.state(user) is PairState.PAIRED for user in hearers)
        return bool(hearers) or (self._server_talks and company.stage is not Stage.CONNECTED)

    def _end_call(self, now_ns: int) -> None:
        """Ends the program with its call; hangs up when both ends have said all."""
        if self._ending_ns is not None:
            if self._ears.played_out or now_ns >= self._ending_ns:
                self._finish_call()
            return
        voice = self._voice
        done = voice is not None and voice.has_ended and self._ears.played_out
        if self._company.stage is not Stage.CONNECTED or not done:
            self._both_done_ns = None
        elif self._both_done_ns is None:
            self._both_done_ns = now_ns + SETTLE_NS
        elif now_ns >= self._both_done_ns:
            self._both_done_ns = None
            self._company.hang_up()

    def _finish_call(self) -> None:
        """The call's last sound has left."""
        self._ending_ns = None
        if self._only_call:
            self.is_over = True
        else:
            self._ears.hang_up()

    def _on_events(self, now_ns: int) -> None:
        for event in self._company.events():
            self._on_event(event, now_ns)
        self._pair(now_ns)

    def _on_event(self, event: CompanyEvent, now_ns: int) -> None:
        if isinstance(event, CallChanged):
            self._on_call(event, now_ns)
        elif isinstance(event, Message):
            if self._e2e is not None:
                self._e2e.receive(event.user, event.data, now_ns)
        elif isinstance(event, Refused):
            self._fail(RefusedError(talk_words.denied(event.reason, event.suggestion)))
        elif isinstance(event, Entered):
            log.info("here as %s%s", event.name, ", back again" if event.resumed else "")
        elif isinstance(event, RoomChanged):
            log.info(talk_words.ROOM[event.state].format(name=event.name))
        elif isinstance(event, Came):
            self._on_came(event.person)
        elif isinstance(event, Changed):
            self._on_changed(event)
        elif isinstance(event, Went):
            log.info("%s %s", event.person.name, talk_words.LEFT[event.reason])

    def _on_came(self, person: User) -> None:
        log.info("%s is there%s", person.name, f", in {person.room}" if person.room else "")
        percent = self._volumes.get(parse_name(person.name).key)
        if percent is not None:
            self._ears.set_volume(person.user, percent)

    def _on_changed(self, event: Changed) -> None:
        person, before = event.person, event.before
        if person.room != before.room:
            where = f"has gone to room {person.room}" if person.room else "has left its room"
            log.info("%s %s", person.name, where)
        if person.presence & ~before.presence & Presence.AWAY:
            log.info("the connection of %s was lost", person.name)

    def _on_call(self, event: CallChanged, now_ns: int) -> None:
        company = self._company
        if not event.again:
            log.info(talk_words.call_news(event.state, event.reason, event.name))
        if company.stage is Stage.CONNECTED:
            if self._ending_ns is not None:
                self._finish_call()
            self._in_call = True
            self._ears.call(company.partner)
        elif event.state is CallState.INCOMING and self._auto_answer:
            company.answer()
        elif event.state in (CallState.ENDED, CallState.REFUSED) and company.stage is Stage.NONE:
            self._on_call_over(event, now_ns)

    def _on_call_over(self, event: CallChanged, now_ns: int) -> None:
        was_in_call, self._in_call = self._in_call, False
        if self._only_call:
            status = EXIT_STATUS[event.reason]
            words = talk_words.call_news(event.state, event.reason, event.name)
            if status:
                self._error = ConnectError(words) if status == 4 else RefusedError(words)
        if was_in_call or self._only_call:
            # What the other end has said still comes, and is played.
            self._ending_ns = now_ns + LEAVE_NS if was_in_call else now_ns

    def _fail(self, error: EchoWarpError) -> None:
        self._error = error
        self.is_over = True

    def _pair(self, now_ns: int) -> None:
        """Proves the code to whom we talk with, and tells how that went."""
        e2e, company = self._e2e, self._company
        if e2e is None:
            return
        if company.user:
            people = {user: company.users[user] for user in company.hearers}
            keys = {user: parse_name(person.name).key for user, person in people.items()}
            e2e.set_partners(keys, now_ns)
        for trust in e2e.events():
            words = talk_words.TRUST[trust.state].format(name=self._name(trust.user))
            log.log(logging.INFO if trust.state is PairState.PAIRED else logging.WARNING, words)

    def _refuses(self, stream: Stream) -> bool:
        """Whether a talker's stream is not played: sealed without our having a code, or
        not sealed though we have one."""
        if stream.user == 0 or is_sealed(stream) == (self._e2e is not None):
            return False
        if stream.user not in self._told_unsafe:
            self._told_unsafe.add(stream.user)
            needs = "give --e2e and their code" if is_sealed(stream) else "they need --e2e too"
            how = "end to end encrypted" if is_sealed(stream) else "not encrypted end to end"
            log.warning("%s is %s, and so not heard: %s", self._name(stream.user), how, needs)
        return True

    def _name(self, user: int) -> str:
        person = self._company.users.get(user)
        return f"user {user}" if person is None else person.name

    def _show(self) -> None:
        company, voice = self._company, self._voice
        self.view = TalkView(
            state=self._state(),
            user=company.user,
            name=company.name,
            stage=company.stage,
            partner=company.partner,
            room=company.room,
            users=dict(company.users),
            muted=self._speech.muted,
            voice=None if voice is None else voice.report,
            e2e="" if self._e2e is None else "end to end" if self._e2e.secure else "no code yet",
        )

    def _state(self) -> str:
        company = self._company
        words = {
            Stage.ASKED: "calling {}",
            Stage.WAITING: "waiting for {}",
            Stage.RINGING: "calling {}",
            Stage.INCOMING: "{} is calling",
            Stage.CONNECTED: "in a call with {}",
        }
        if company.stage is not Stage.NONE:
            return words[company.stage].format(company.call_name)
        if company.room:
            return f"in room {company.room}"
        return "here" if company.user else "connecting"
