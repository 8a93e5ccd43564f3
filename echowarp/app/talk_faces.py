"""How a talker's people are: for the live rows, and for the statistics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from echowarp.app.client import Client
from echowarp.app.playback import Snapshot
from echowarp.app.stats import ms, stream_fields
from echowarp.app.stream_stats import snapshot_fields
from echowarp.app.talk_view import TalkView
from echowarp.app.talker import Talker
from echowarp.app.watch import RateMeter
from echowarp.media.pcm import SILENCE_DB
from echowarp.session.company import Stage
from echowarp.session.speech import TALKING_LEVEL, Mode
from echowarp.ui.status import PersonView
from echowarp.wire.people import User
from echowarp.wire.people_codes import Presence

TALKING_DB = 20 * math.log10(TALKING_LEVEL)
SIGN_OF_LIFE = 2
"""Who does not speak sends a block a second or less."""
SERVER = 0
"""The server's own stream, where a user's id would be."""


class TalkFaces:
    """The main thread's."""

    def __init__(self, talker: Talker, client: Client) -> None:
        self._talker = talker
        self._client = client
        self._sent, self._received = RateMeter(), RateMeter()
        self._losses: dict[int, tuple[RateMeter, RateMeter]] = {}
        """Of each who is heard: the turns of its blocks, and those that were concealed."""

    def shown(self, now_ns: int) -> tuple[PersonView, ...]:
        """Ourselves, whom we hear, whom we could hear, and the others."""
        view, heard = self._talker.talk.view, self._talker.ears.talkers
        self._losses = {user: each for user, each in self._losses.items() if user in heard}
        people = [self._ourselves(view)]
        if SERVER in heard:
            people.append(self._heard(SERVER, "the server", None, heard[SERVER], now_ns))
        for user, person in sorted(view.users.items(), key=lambda each: _place(each, view, heard)):
            if user in heard:
                people.append(self._heard(user, person.name, person, heard[user], now_ns))
            else:
                people.append(PersonView(name=person.name, note=_note(person, view)))
        return tuple(people)

    def _ourselves(self, view: TalkView) -> PersonView:
        name = f"you, {view.name}" if view.name else "you"
        voice = view.voice
        if voice is None:
            return PersonView(name=name, note="only listening")
        if view.muted:
            note = "muted: m speaks"
        elif self._talker.mode is Mode.PUSH:
            note = "" if voice.sending else "hold the space bar to speak"
        else:
            note = ""
        talks = voice.sending and voice.level_db >= TALKING_DB
        return PersonView(name=name, level_db=voice.level_db, talks=talks, note=note)

    def _heard(
        self, user: int, name: str, person: User | None, snapshot: Snapshot, now_ns: int
    ) -> PersonView:
        counters, delay = snapshot.counters, snapshot.delay
        turns, concealed = self._losses.setdefault(user, (RateMeter(), RateMeter()))
        expected = turns.per_second(counters.received + counters.concealed, now_ns)
        gone = concealed.per_second(counters.concealed, now_ns)
        return PersonView(
            name=name,
            # A sink that takes what comes is given nothing while they are silent.
            level_db=snapshot.level_db if expected > SIGN_OF_LIFE else SILENCE_DB,
            talks=person is not None and bool(person.presence & Presence.TALKING),
            note="" if person is None else _state(person),
            delay_ms=None if delay is None else ms(delay.total_ns),
            loss_percent=100 * gone / expected if expected else None,
        )

    def people(self) -> dict[str, Any]:
        """The fields of a line of statistics that are about people."""
        view = self._talker.talk.view
        return {
            "name": view.name,
            "call": None if view.stage is Stage.NONE else view.stage.name.lower(),
            "room": view.room or None,
            "muted": view.muted,
            "end_to_end": view.e2e or None,
            "people": [
                {
                    "name": person.name,
                    "room": person.room or None,
                    "talking": bool(person.presence & Presence.TALKING),
                    "muted": bool(person.presence & Presence.MUTED),
                    "away": bool(person.presence & Presence.AWAY),
                }
                for person in view.users.values()
            ],
        }

    def streams(self, now_ns: int) -> list[dict[str, Any]]:
        """The streams that are heard and, last, our own."""
        client, talker = self._client, self._talker
        users = talker.talk.view.users
        heard = {u: each for u, each in talker.ears.talkers.items() if each.format is not None}
        bits = round(self._received.per_second(client.received_bytes, now_ns) * 8)
        streams = [
            snapshot_fields(
                snapshot,
                client,
                jitter_ns=talker.ears.jitter_ns(user),
                # Of many, how much each brings is not counted.
                bitrate=bits if len(heard) == 1 else 0,
                talker=users[user].name if user in users else None,
            )
            for user, snapshot in heard.items()
        ]
        own = talker.talk.view.voice
        if talker.voice is not None and own is not None:
            streams.append(
                stream_fields(
                    rate=talker.voice.format.rate,
                    channels=talker.voice.format.channels,
                    suite=None if client.status.suite is None else "encrypted",
                    sent=own.blocks,
                    resent=own.resent,
                    bitrate=round(self._sent.per_second(own.sent_bytes, now_ns) * 8),
                    level_db=round(own.level_db, 1),
                    talker=talker.talk.view.name,
                )
            )
        return streams


def _place(
    each: tuple[int, User], view: TalkView, heard: Mapping[int, Snapshot]
) -> tuple[bool, bool, str]:
    """Where somebody stands among the rows: they stay in place while they talk."""
    user, person = each
    return user not in heard and user not in view.hearers, bool(person.room), person.name


def _note(person: User, view: TalkView) -> str:
    """What there is to say of somebody who is not heard."""
    where = f"in room {person.room}" if person.room and person.room != view.room else ""
    return ", ".join(filter(None, (where, _state(person))))


def _state(person: User) -> str:
    if person.presence & Presence.AWAY:
        return "connection lost"
    return "muted" if person.presence & Presence.MUTED else ""
