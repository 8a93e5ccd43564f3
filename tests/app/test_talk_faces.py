from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from echowarp.app.playback import Snapshot
from echowarp.app.talk_faces import TalkFaces
from echowarp.app.talk_view import TalkView
from echowarp.media.arrivals import Counters
from echowarp.media.pcm import SILENCE_DB
from echowarp.session.speech import Mode
from echowarp.wire.people import User
from echowarp.wire.people_codes import Presence

S = 1_000_000_000
BOB = User(user=5, presence=Presence(0), name="bob", room="")


def test_who_falls_silent_has_no_level_though_the_sink_is_given_nothing() -> None:
    """The last block of a call stays the last where a sink takes what comes."""
    ears = SimpleNamespace(talkers={})
    view = TalkView(name="anna", users={5: BOB}, hearers=frozenset({5}))
    talker = SimpleNamespace(talk=SimpleNamespace(view=view), ears=ears, mode=Mode.OPEN)
    faces = TalkFaces(cast(Any, talker), cast(Any, None))
    levels = []
    for second, received in enumerate((0, 200, 400, 401, 402, 403, 404)):
        ears.talkers = {5: Snapshot(counters=Counters(received=received), level_db=-10.0)}
        _, bob = faces.shown(second * S)
        levels.append(bob.level_db)
    assert levels[1:3] == [-10.0, -10.0]
    assert levels[-2:] == [SILENCE_DB, SILENCE_DB]
