"""Whether a talker's block is sent: mute, push to talk, voice activation.

Levels are shares of full scale, 0.0 to 1.0. Where nobody speaks a block without payload
says so, at once and then each second, so that the far end fades and conceals nothing.
"""

from __future__ import annotations

from enum import Enum, auto

MS = 1_000_000
S = 1_000 * MS

SILENCE_EVERY_NS = S
"""Protocol 1, section 7: silence is repeated once a second."""
HANG_OVER_NS = 400 * MS
"""Voice activation goes on so long after the last loud block: the ends of words are soft."""
THRESHOLD = 0.02
"""34 dB below full scale: above most rooms, below most voices."""
TALKING_LEVEL = 0.01
"""From this level on others are shown that somebody talks."""
QUIET_LEVEL = 0.01
"""40 dB below full scale. A microphone that stays under it is far away, or off."""
QUIET_NS = 30 * S
"""So long without a warning: nobody talks without a pause."""


class Mode(Enum):
    """What opens the microphone."""

    OPEN = auto()
    """Nothing has to."""
    PUSH = auto()
    VOICE = auto()


class Send(Enum):
    """What to do with a block."""

    SOUND = auto()
    SILENCE = auto()
    """Send one without payload in its place."""
    NOTHING = auto()


class Speech:
    """Decides block by block. One thread owns it.

    threshold: of voice activation, 0.0 to 1.0; hang_over_ns: how long that holds.
    """

    def __init__(
        self,
        mode: Mode = Mode.OPEN,
        *,
        muted: bool = False,
        threshold: float = THRESHOLD,
        hang_over_ns: int = HANG_OVER_NS,
    ) -> None:
        self.muted = muted
        self.pushed = False
        """Whether the key of push to talk is down."""
        self.sending = False
        """Whether the last block was sent as it is."""
        self._mode = mode
        self._threshold = threshold
        self._hang_over_ns = hang_over_ns
        self._loud_until_ns: int | None = None
        self._talking_until_ns: int | None = None
        self._silence_due_ns: int | None = None
        self._quiet_since_ns: int | None = None
        self._warned = self._warning = False

    def block(self, level: float, now_ns: int) -> Send:
        """A block of that level was captured."""
        if level >= self._threshold:
            self._loud_until_ns = now_ns + self._hang_over_ns
        self._watch_quiet(level, now_ns)
        self.sending = self._is_open(now_ns)
        if self.sending:
            if level >= TALKING_LEVEL:
                self._talking_until_ns = now_ns + HANG_OVER_NS
            self._silence_due_ns = now_ns
            return Send.SOUND
        self._talking_until_ns = None
        if self._silence_due_ns is None or now_ns >= self._silence_due_ns:
            self._silence_due_ns = now_ns + SILENCE_EVERY_NS
            return Send.SILENCE
        return Send.NOTHING

    def talking(self, now_ns: int) -> bool:
        """Whether others are to be shown that we talk."""
        return self._talking_until_ns is not None and now_ns < self._talking_until_ns

    def take_warning(self) -> bool:
        """Whether the microphone has been silent for long. Told once, until it is heard."""
        due, self._warning = self._warning, False
        return due

    def _is_open(self, now_ns: int) -> bool:
        if self.muted:
            return False
        if self._mode is Mode.PUSH:
            return self.pushed
        if self._mode is Mode.VOICE:
            return self._loud_until_ns is not None and now_ns < self._loud_until_ns
        return True

    def _watch_quiet(self, level: float, now_ns: int) -> None:
        if level >= QUIET_LEVEL:
            self._quiet_since_ns, self._warned = None, False
        elif self.muted or (self._mode is Mode.PUSH and not self.pushed):
            # Nobody expects to be heard.
            self._quiet_since_ns = None
        elif self._quiet_since_ns is None:
            self._quiet_since_ns = now_ns
        elif now_ns - self._quiet_since_ns >= QUIET_NS and not self._warned:
            self._warned = self._warning = True
