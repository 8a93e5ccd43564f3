"""A talker, told by hand what a server says."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest

from echowarp.app.talk import MOVE_EVERY_NS, MOVES_AT_ONCE, Talk
from echowarp.session.company import Company
from echowarp.session.speech import Speech
from echowarp.wire.people import User
from echowarp.wire.people_codes import Presence


def test_one_who_goes_in_and_out_for_ever_is_told_of_now_and_then(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "echowarp")
    monkeypatch.setattr(logging.getLogger("echowarp"), "propagate", True)
    ears = SimpleNamespace(set_volume=lambda user, percent: None)
    talk = Talk(
        Company(name="anna"),
        voice=None,
        ears=cast(Any, ears),
        speech=Speech(),
        code=None,
        auto_answer=False,
        only_call=False,
        wake=lambda: None,
    )
    for n in range(1000):
        record = User(user=5, presence=Presence(0), name="bob", room="hall" * (n % 2))
        talk.receive(record, n * MOVE_EVERY_NS // 100)
    assert MOVES_AT_ONCE <= len(caplog.records) <= MOVES_AT_ONCE + 12
    talk.receive(User(user=6, presence=Presence(0), name="cara", room=""), 10 * MOVE_EVERY_NS)
    assert caplog.records[-1].message == "cara is there"
