"""What the user of a client presses and types, done."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from echowarp.app.talker import Talker
from echowarp.app.volume import MAX_PERCENT, Volume
from echowarp.app.watch import Signals
from echowarp.config.kinds import Range
from echowarp.errors import ConfigError
from echowarp.media.format import NS_PER_S
from echowarp.session.names import parse_name
from echowarp.session.speech import Mode
from echowarp.ui.commands import Command
from echowarp.ui.terminal import Terminal

log = logging.getLogger(__name__)

HELD_NS = 7 * NS_PER_S // 10
"""Terminals tell of a key that is held by repeating it, at first after half a second;
so long after the last one it has been let go."""
KEYS = {
    "m": "microphone off, and on again",
    "space": "held down: speak (push to talk)",
    "a": "answer",
    "d": "decline",
    "v": "mute what is played, and bring it back",
    "+ -": "volume",
    "q": "quit",
}
COMMANDS = {
    "/mute, /unmute": "microphone off and on; with a NAME: them, here",
    "/push, /release": "as the space bar down and up",
    "/volume NAME PERCENT": "how loud somebody is; without NAME: everything",
    "/list": "who is there",
    "/call NAME": "call somebody",
    "/answer, /decline": "whoever calls",
    "/hangup": "end the call",
    "/room NAME": "go to a room; without NAME: leave it",
    "/retry": "try the --e2e code again with whom it failed",
    "/quit": "end the program",
}
HELP = tuple(f"{key:<22}{what}" for key, what in {**KEYS, **COMMANDS}.items())


class TalkUser:
    """Keys and commands. talker: None for a client that only listens. The main thread's."""

    def __init__(
        self, talker: Talker | None, volume: Volume, terminal: Terminal, signals: Signals
    ) -> None:
        self._talker = talker
        self._volume = volume
        self._terminal = terminal
        self._signals = signals
        self._held_until_ns: int | None = None

    def press(self, key: str) -> None:
        """A key was pressed."""
        if self._volume.press(key):
            if not self._terminal.live:
                log.info(self._volume.words() or "volume 100 %")
            return
        talker = self._talker
        if talker is None:
            return
        if key == "m":
            self._mute(not talker.speech.muted, "")
        elif key == "a":
            talker.talk.post(talker.talk.answer)
        elif key == "d":
            talker.talk.post(talker.talk.decline)
        elif key == " " and talker.mode is Mode.PUSH:
            talker.speech.pushed = True
            self._held_until_ns = time.monotonic_ns() + HELD_NS

    def turn(self) -> None:
        """Ten times a second: a key that is not held any more is let go."""
        if self._held_until_ns is not None and time.monotonic_ns() >= self._held_until_ns:
            self._held_until_ns = None
            if self._talker is not None:
                self._talker.speech.pushed = False

    def obey(self, command: Command) -> None:
        """A command was typed."""
        word, rest = command.word, command.rest
        if word in ("quit", "q", "exit"):
            self._signals.ask()
            return
        if word == "help":
            for line in HELP:
                log.info(line)
            return
        try:
            if word == "volume":
                self._set_volume(rest)
            elif self._talker is None:
                log.warning("only somebody with a --nickname can do that: /%s", word)
            elif not self._talk(self._talker, word, rest):
                log.warning("there is no command /%s: /help names them", _printable(word))
        except (ConfigError, ValueError) as error:
            log.warning("%s", error)

    def _talk(self, talker: Talker, word: str, rest: str) -> bool:
        """Obeys a command of a talker; whether it is one."""
        talk = talker.talk
        plain: dict[str, Callable[[int], None]] = {
            "answer": talk.answer,
            "decline": talk.decline,
            "hangup": talk.hang_up,
            "retry": talk.retry_code,
        }
        if word in plain:
            talk.post(plain[word])
        elif word in ("mute", "unmute"):
            self._mute(word == "mute", rest)
        elif word in ("push", "release"):
            talker.speech.pushed = word == "push"
        elif word == "list":
            for line in talker.listed():
                log.info("  %s", line)
        elif word == "call":
            name = parse_name(rest, "name to call").shown
            talk.post(lambda now_ns: talk.call(name, now_ns))
        elif word == "room":
            room = parse_name(rest, "room").shown if rest else ""
            talk.post(lambda now_ns: talk.go(room, now_ns))
        else:
            return False
        return True

    def _set_volume(self, rest: str) -> None:
        """/volume PERCENT, or /volume NAME PERCENT."""
        name, _, text = rest.rpartition(" ")
        percent = Range(int, 0, MAX_PERCENT)(text.removesuffix("%"))
        if not name:
            self._volume.percent = percent
        elif self._talker is None:
            log.warning("only somebody with a --nickname hears others")
        else:
            talk, of = self._talker.talk, parse_name(name.strip()).shown
            talk.post(lambda now_ns: talk.set_volume(of, percent, now_ns))

    def _mute(self, muted: bool, name: str) -> None:
        """Our own microphone or, with a name, somebody at this end."""
        if self._talker is None:
            return
        if name:
            talk, of = self._talker.talk, parse_name(name).shown
            talk.post(lambda now_ns: talk.silence(of, muted, now_ns))
            return
        self._talker.speech.muted = muted
        if not self._terminal.live:
            log.info("microphone muted" if muted else "microphone on")


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)
