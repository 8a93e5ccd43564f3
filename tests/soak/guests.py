"""Listeners that come and go."""

from __future__ import annotations

import contextlib
import random
import signal
from collections.abc import Callable

from tests.processes import Program, Stage, TookTooLong

MOST = 4


class Guests:
    """Up to MOST processes at once. ports: of the server, and of the proxy before it."""

    def __init__(self, stage: Stage, ports: tuple[int, int], rng: random.Random) -> None:
        self.failures: list[str] = []
        self._stage, self._ports, self._rng = stage, ports, rng
        self._here: list[Program] = []
        self._stopped: list[Program] = []

    def comes(self) -> str:
        """One more, if there is room. Returns what happened."""
        if len(self._here) >= MOST:
            return ""
        port = self._rng.choice(self._ports)
        sink = self._rng.choice(("null", "wav"))
        name = f"guest-{self._rng.getrandbits(32):08x}"
        guest = self._stage.client(
            *("-r", "0"),
            sink="null" if sink == "null" else f"{name}.wav",
            port=port,
            name=name,
            stats=False,
        )
        self._here.append(guest)
        way = "directly" if port == self._ports[0] else "by the proxy"
        return f"{guest.name} comes {way}, sink {sink}"

    def goes(self) -> str:
        """One of them, if any. Returns what happened."""
        leaving = [guest for guest in self._here if guest not in self._stopped]
        if not leaving:
            return ""
        guest = self._rng.choice(leaving)
        if self._rng.random() < 0.5:
            guest.kill()
            self._gone(guest)
            return f"{guest.name} is killed"
        self._says_goodbye(guest)
        return f"{guest.name} leaves"

    def stops(self) -> tuple[str, Callable[[], str]]:
        """One of them stands still, if any. Returns what happened, and what wakes it."""
        awake = [guest for guest in self._here if guest not in self._stopped]
        if not awake:
            return "", str
        guest = self._rng.choice(awake)
        guest.signal(signal.SIGSTOP)
        self._stopped.append(guest)

        def wake() -> str:
            if guest not in self._stopped:
                return ""
            self._stopped.remove(guest)
            guest.signal(signal.SIGCONT)
            return f"{guest.name} goes on"

        return f"{guest.name} stands still", wake

    def all_leave(self) -> None:
        """Everybody goes."""
        for guest in tuple(self._here):
            if guest in self._stopped:
                self._stopped.remove(guest)
                guest.signal(signal.SIGCONT)
            self._says_goodbye(guest)

    def check(self) -> None:
        """Nobody has ended alone."""
        for guest in tuple(self._here):
            if not guest.running:
                self.failures.append(f"{guest.name} ended by itself: {_last_words(guest)}")
                self._gone(guest)

    def _says_goodbye(self, guest: Program) -> None:
        guest.signal(signal.SIGTERM)
        try:
            status = guest.ends()
        except TookTooLong:
            self.failures.append(f"{guest.name} does not end: {_last_words(guest)}")
            guest.kill()
        else:
            # Who is told so early has not yet begun to listen to signals.
            if status and not (status == -signal.SIGTERM and not guest.said):
                self.failures.append(f"{guest.name} ended with {status}: {_last_words(guest)}")
        self._gone(guest)

    def _gone(self, guest: Program) -> None:
        guest.close()
        self._here.remove(guest)
        self._stage.programs.remove(guest)
        if "Traceback" in guest.said:
            self.failures.append(f"{guest.name} has shown a traceback: {guest.said}")
        for path in (guest.log, guest.out, self._stage.folder / f"{guest.name}.wav"):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


def _last_words(guest: Program) -> str:
    lines = guest.said.splitlines()
    return lines[-1] if lines else "it said nothing"
