"""What is not worth a line each is told once a minute, as a total or as what goes on."""

from __future__ import annotations

import logging

from echowarp.session.channel import NS_PER_S

log = logging.getLogger(__name__)

MINUTE_NS = 60 * NS_PER_S
WORTH_TELLING = 100
"""Fewer in a minute are what clients leave behind that come and go."""


class Total:
    """One count. Exactly one thread uses it. text: the line, with %d for how many."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._told = 0
        self._due_ns: int | None = None

    def note(self, count: int, now_ns: int) -> None:
        """count: of all time. Says how many there were since, if a minute has passed."""
        if self._due_ns is None:
            self._due_ns = now_ns + MINUTE_NS
        if now_ns < self._due_ns:
            return
        if count - self._told >= WORTH_TELLING:
            log.info(self._text, count - self._told)
        self._told, self._due_ns = count, now_ns + MINUTE_NS


class Repeated:
    """Something that may fail again and again. Exactly one thread uses it."""

    def __init__(self) -> None:
        self._reason: str | None = None
        self._due_ns = 0

    def is_news(self, reason: str, now_ns: int) -> bool:
        """Whether to tell of a failure: it is another than before, or a minute has passed."""
        if reason == self._reason and now_ns < self._due_ns:
            return False
        self._reason, self._due_ns = reason, now_ns + MINUTE_NS
        return True

    def forget(self) -> None:
        """It has worked in between."""
        self._reason = None
