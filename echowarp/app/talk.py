"""A client that talks: its people, its call, its voice and what it hears, over all sessions.

The control thread owns it. Others `post` what the user wants and look at `view`, which is
replaced whole.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from queue import SimpleQueue

from echowarp.app import talk_words
from echowarp.app.datagram_link import DatagramLink
from echowarp.app.talk_call import TalkCall
from echowarp.app.talk_ears import FULL_PERCENT, TalkEars
from echowarp.app.talk_safety import TalkSafety
from echowarp.app.talk_view import TalkView, view_of
from echowarp.app.voice import State as VoiceState
from echowarp.app.voice import Voice
from echowarp.errors import ConfigError, RefusedError
from echowarp.media.format import NS_PER_S
from echowarp.session.client_session import Started
from echowarp.session.company import Company, Stage
from echowarp.session.company_events import (
    CallChanged,
    Came,
    Changed,
    CompanyEvent,
    Message,
    Refused,
)
from echowarp.session.names import parse_name
from echowarp.session.pace import Pace
from echowarp.session.speech import Speech
from echowarp.wire.people import PeopleRecord, User
from echowarp.wire.people_codes import Presence
from echowarp.wire.records import End, Record, Stream, UdpOk

log = logging.getLogger(__name__)

ENTER_NS = NS_PER_S
"""Our name is said when our datagrams are heard, so that nobody talks to a way that is
not open; where they are not, after so long."""
MOVE_EVERY_NS = 2 * NS_PER_S
MOVES_AT_ONCE = 20
"""What the others do is told so often: one who does nothing but go in and out of a room is to
leave the terminal to the rest."""


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
        self._safety = TalkSafety(company, code)
        self._call = TalkCall(company, ears, voice, auto_answer=auto_answer, only_call=only_call)
        self._wake = wake
        self._link: DatagramLink | None = None
        self._wanted: SimpleQueue[Callable[[int], None]] = SimpleQueue()
        self._enter_ns: int | None = None
        self._own_user = 0
        self._server_talks = False
        self._volumes: dict[str, float] = {}
        self._silenced: set[str] = set()
        self._moves = Pace(every_ns=MOVE_EVERY_NS, burst_ns=MOVES_AT_ONCE * MOVE_EVERY_NS)
        self.view = TalkView()
        self.open_payload = self._safety.open_payload
        ears.refuses = self._safety.refuses
        ears.name_of = self._name

    # From any thread.

    def post(self, action: Callable[[int], None]) -> None:
        """Has the control thread do what the user wants, with the time."""
        self._wanted.put(action)
        self._wake()

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
        else:
            log.info("nobody is calling")

    def go(self, room: str, now_ns: int) -> None:
        """Goes to a room, empty: out."""
        self._company.go(room)

    def set_volume(self, name: str, percent: float, now_ns: int) -> None:
        """How loud somebody is played, also one who comes later."""
        self._volumes[parse_name(name).key] = percent
        log.info("%s is played at %.0f %%", name, percent)
        self._silence(name, False)

    def silence(self, name: str, silent: bool, now_ns: int) -> None:
        """Whether somebody is not to be heard here."""
        log.info("%s is muted here" if silent else "%s is heard here again", name)
        self._silence(name, silent)

    def _silence(self, name: str, silent: bool) -> None:
        key = parse_name(name).key
        (self._silenced.add if silent else self._silenced.discard)(key)
        people = [each for each in self._company.users.values() if parse_name(each.name).key == key]
        for person in people:
            self._set_volume_of(person)
        if not people:
            log.info("nobody is called %s yet: it holds when they come", name)

    def retry_code(self, now_ns: int) -> None:
        """Tries the code again with whom it failed."""
        self._safety.retry(now_ns)

    # On the control thread, from the connection.

    @property
    def is_over(self) -> bool:
        """Whether the session is to be closed: the program's one call has ended."""
        return self._call.is_over

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
        self._safety.begin(started.user)
        self._own_user = started.user

    def session_over(self, now_ns: int) -> bool:
        """The session is over; whether the program is, as its call has ended."""
        if self._link is not None:
            self._link = None
            if self._voice is not None:
                self._voice.detach()
            self._company.session_lost(now_ns)
            self._ears.session_over()
        self._company.handle_timeout(now_ns)
        self._on_events(now_ns)
        self._show()
        return self._call.session_over()

    def raise_error(self) -> None:
        """Raises what the program's call ended with, if it was no success."""
        if self._call.error is not None:
            raise self._call.error

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
            if voice.refused(record.seq, now_ns):
                if voice.state is VoiceState.REFUSED:
                    log.warning("the server does not take our stream now: nobody hears us")
                return True
        elif isinstance(record, UdpOk) and self._enter_ns is not None:
            self._enter_ns = now_ns
        return False

    def timeout_ns(self) -> int:
        """When `act` wants to be called."""
        due = (
            *(self._enter_ns, *self._call.timeouts_ns()),
            *(self._company.timeout_ns(), self._safety.timeout_ns()),
            None if self._voice is None else self._voice.timeout_ns(),
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
        self._safety.handle_timeout(now_ns)
        self._on_events(now_ns)
        self._talk(now_ns)
        self._call.act(now_ns)
        self._show()

    def to_send(self) -> list[Record]:
        """Drains the records for the server. Keys go before the streams that they open."""
        self._safety.send()
        out: list[Record] = [*self._company.to_send()]
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
            voice.begin(self._safety.begin_stream())
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
        hearers = company.hearers
        allowed = self._safety.allows(hearers)
        if allowed is not None:
            return allowed
        return bool(hearers) or (self._server_talks and company.stage is not Stage.CONNECTED)

    def _on_events(self, now_ns: int) -> None:
        for event in self._company.events():
            self._on_event(event, now_ns)
        self._safety.pair(now_ns)

    def _on_event(self, event: CompanyEvent, now_ns: int) -> None:
        if isinstance(event, CallChanged):
            self._call.changed(event, now_ns)
        elif isinstance(event, Message):
            self._safety.receive(event.user, event.data, now_ns)
        elif isinstance(event, Refused):
            self._call.fail(RefusedError(talk_words.denied(event.reason, event.suggestion)))
        else:
            words = talk_words.told(event)
            if words and (not isinstance(event, Changed) or self._moves.affords(now_ns)):
                log.info("%s", words)
            if isinstance(event, Came):
                self._set_volume_of(event.person)

    def _set_volume_of(self, person: User) -> None:
        key = parse_name(person.name).key
        percent = self._volumes.get(key, FULL_PERCENT)
        self._ears.set_volume(person.user, 0.0 if key in self._silenced else percent)

    def _name(self, user: int) -> str:
        person = self._company.users.get(user)
        return f"user {user}" if person is None else person.name

    def _show(self) -> None:
        voice = self._voice
        self.view = view_of(
            self._company,
            muted=self._speech.muted,
            voice=None if voice is None else voice.report,
            e2e=self._safety.words,
        )
