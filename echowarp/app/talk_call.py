"""The call of a talker: when it is answered, when it ends, and with it the program."""

from __future__ import annotations

import logging

from echowarp.app import talk_words
from echowarp.app.talk_ears import TalkEars
from echowarp.app.voice import Voice
from echowarp.errors import ConnectError, EchoWarpError, RefusedError
from echowarp.media.format import NS_PER_S
from echowarp.session.calls import EXIT_STATUS
from echowarp.session.company import Company, Stage
from echowarp.session.company_events import CallChanged
from echowarp.wire.people_codes import CallState

log = logging.getLogger(__name__)

LEAVE_NS = NS_PER_S
"""How long the last sound of a call may take to come and to be played."""
SETTLE_NS = NS_PER_S
"""How long two sounds that have both ended are kept in touch: blocks may be asked for."""


class TalkCall:
    """The control thread's. only_call: the program ends with its call; voice: None for who
    only hears."""

    def __init__(
        self,
        company: Company,
        ears: TalkEars,
        voice: Voice | None,
        *,
        auto_answer: bool,
        only_call: bool,
    ) -> None:
        self._company = company
        self._ears = ears
        self._voice = voice
        self._auto_answer = auto_answer
        self._only_call = only_call
        self._in_call = False
        self._rings_here = False
        """Whether somebody calls us who is not answered yet."""
        self._ending_ns: int | None = None
        """The call is over; so long its last sound is waited for."""
        self._both_done_ns: int | None = None
        self.is_over = False
        """Whether the session is to be closed: the program's one call has ended."""
        self.error: EchoWarpError | None = None
        """What the program's call ended with, if it was no success."""

    def fail(self, error: EchoWarpError) -> None:
        """There is nothing to be had here."""
        self.error = error
        self.is_over = True

    def session_over(self) -> bool:
        """The session is over; whether the program is, as its call has ended."""
        if self.error is not None or (self._only_call and self._ending_ns is not None):
            self.is_over = True
        return self.is_over

    def changed(self, event: CallChanged, now_ns: int) -> None:
        """Our call is elsewhere now."""
        company = self._company
        if event.again:
            log.info(talk_words.GOES_ON.format(name=event.name))
        else:
            words = talk_words.call_news(
                event.state,
                event.reason,
                event.name,
                by_us=self._rings_here,
                auto_answer=self._auto_answer,
            )
            log.info(words)
        self._rings_here = event.state is CallState.INCOMING
        if company.stage is Stage.CONNECTED:
            if self._ending_ns is not None:
                self._finish()
            self._in_call = True
            self._ears.call(company.partner)
        elif event.state is CallState.INCOMING and self._auto_answer:
            company.answer()
        elif event.state in (CallState.ENDED, CallState.REFUSED) and company.stage is Stage.NONE:
            self._over(event, now_ns)

    def timeouts_ns(self) -> tuple[int | None, int | None]:
        """When `act` has something to do."""
        return self._ending_ns, self._both_done_ns

    def act(self, now_ns: int) -> None:
        """Ends the program with its call; hangs up when both ends have said all."""
        if self._ending_ns is not None:
            if self._ears.played_out or now_ns >= self._ending_ns:
                self._finish()
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

    def _over(self, event: CallChanged, now_ns: int) -> None:
        was_in_call, self._in_call = self._in_call, False
        if self._only_call:
            status = EXIT_STATUS[event.reason]
            words = talk_words.call_news(event.state, event.reason, event.name)
            if status:
                self.error = ConnectError(words) if status == 4 else RefusedError(words)
        if was_in_call or self._only_call:
            # What the other end has said still comes, and is played.
            self._ending_ns = now_ns + LEAVE_NS if was_in_call else now_ns

    def _finish(self) -> None:
        """The call's last sound has left."""
        self._ending_ns = None
        if self._only_call:
            self.is_over = True
        else:
            self._ears.hang_up()
