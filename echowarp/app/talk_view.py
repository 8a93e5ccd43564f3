"""What is shown of a talker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from echowarp.app.voice import VoiceReport
from echowarp.session.company import Company, Stage
from echowarp.wire.people import User

_STAGES = {
    Stage.ASKED: "calling {}",
    Stage.WAITING: "waiting for {}",
    Stage.RINGING: "calling {}",
    Stage.INCOMING: "{} is calling",
    Stage.CONNECTED: "in a call with {}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TalkView:
    """A talker at one moment, for any thread.

    state: in a word or a few; users: the others, by id; hearers: those of them whom our
    sound is for; e2e: how safe it is, "" where nothing was asked for or nobody hears.
    """

    state: str = "connecting"
    name: str = ""
    stage: Stage = Stage.NONE
    room: str = ""
    users: Mapping[int, User] = field(default_factory=dict)
    hearers: frozenset[int] = frozenset()
    muted: bool = False
    voice: VoiceReport | None = None
    e2e: str = ""


def view_of(company: Company, *, muted: bool, voice: VoiceReport | None, e2e: str) -> TalkView:
    """As things are now."""
    return TalkView(
        state=_state(company),
        name=company.name,
        stage=company.stage,
        room=company.room,
        users=dict(company.users),
        hearers=company.hearers,
        muted=muted,
        voice=voice,
        e2e=e2e,
    )


def _state(company: Company) -> str:
    if company.stage is not Stage.NONE:
        return _STAGES[company.stage].format(company.call_name)
    if company.room:
        return f"in room {company.room}"
    return "here" if company.user else "connecting"
