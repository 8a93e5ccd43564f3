"""How loud playback is, and the keys that change it."""

from __future__ import annotations

MAX_PERCENT = 400
STEP_PERCENT = 5
LOUDER, SOFTER, MUTE = "+=", "-_", "v"
"""Also the keys' other halves on most keyboards: nobody has to hold Shift."""


class Volume:
    """The volume that is wanted. The main thread changes it; any thread may read it.

    percent: 0..400.
    """

    def __init__(self, percent: int) -> None:
        self.percent = percent
        self.partner_percent = 100.0
        """Of the other end of a call alone; the control thread changes it."""
        self.muted = False

    def press(self, key: str) -> bool:
        """Obeys a key; whether it is one of ours."""
        if key == MUTE:
            self.muted = not self.muted
        elif key in LOUDER:
            self.percent = min(MAX_PERCENT, self.percent + STEP_PERCENT)
        elif key in SOFTER:
            self.percent = max(0, self.percent - STEP_PERCENT)
        else:
            return False
        return True

    def gain(self) -> float:
        """The factor for samples: 1.0 at 100 percent."""
        return 0.0 if self.muted else self.percent * self.partner_percent / 10_000

    def words(self) -> str:
        """What is unusual about it; empty at 100 percent."""
        volume = f"volume {self.percent} %" if self.percent != 100 else ""
        return ", ".join(part for part in (volume, "muted" if self.muted else "") if part)
