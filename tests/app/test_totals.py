from __future__ import annotations

import logging

import pytest

from echowarp.app.totals import MINUTE_NS, WORTH_TELLING, Repeated, Total


def test_a_flood_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "echowarp")
    total = Total("%d came")
    for second in range(0, 121, 1):
        total.note(1_000 * second, second * MINUTE_NS // 60)
    assert caplog.messages == ["60000 came", "60000 came"]


def test_a_few_are_not_told_and_not_kept_for_later(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "echowarp")
    total = Total("%d came")
    total.note(0, 0)
    total.note(WORTH_TELLING - 1, MINUTE_NS)
    total.note(2 * WORTH_TELLING - 2, 2 * MINUTE_NS)
    assert caplog.messages == []
    total.note(3 * WORTH_TELLING - 2, 3 * MINUTE_NS)
    assert caplog.messages == ["100 came"]


def test_what_fails_again_is_told_once_a_minute() -> None:
    failure = Repeated()
    told = [second for second in range(130) if failure.is_news("no", second * MINUTE_NS // 60)]
    assert told == [0, 60, 120]


def test_another_failure_is_told_at_once_and_so_is_one_after_it_worked() -> None:
    failure = Repeated()
    assert [failure.is_news(reason, 0) for reason in ("a", "a", "b", "a")] == [1, 0, 1, 1]
    failure.forget()
    assert failure.is_news("a", 0)
