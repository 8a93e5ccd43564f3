"""When a sound card takes its frames: an even line through uneven calls."""

from __future__ import annotations

from typing import Protocol

from echowarp.media.format import NS_PER_S, Format

SMOOTHING = 64
"""Calls that the line leans on: even behind a sound server that calls in bursts, yet
a card 1000 ppm off is followed within microseconds."""
EARLY_WINDOW_NS = 15 * NS_PER_S
LATE_NS = NS_PER_S // 100
STOOD_NS = NS_PER_S // 5
"""A card whose calls have all been later than LATE_NS for so long stood still before:
the bursts of a sound server are shorter, and some calls of each are early."""


class Line(Protocol):
    """What a playout asks of the line on which its frames leave."""

    frames: int
    """Frames given out so far."""

    @property
    def early_ns(self) -> int:
        """How much before its time a call came at worst of late."""

    def called(self, now_ns: int) -> None:
        """Frames are asked for at `now_ns`."""

    def leaves_ns(self, frame: float) -> int:
        """When a frame, counted from the first, leaves. Needs one call."""


class PullLine:
    """The line on which output frames leave. One thread, the device's, owns it."""

    def __init__(self, fmt: Format) -> None:
        self.frames = 0
        """Output frames given out so far."""
        self.early_ns = 0
        """How much before its time a call came at worst in the last 15 to 30 s."""
        self._rate = fmt.rate
        self._origin_ns: float | None = None
        self._calls = 0
        self._early_ns = [0.0, 0.0]
        self._window_ends_ns = 0
        self._late_since_ns: int | None = None
        self._late_origin_ns = 0.0

    def called(self, now_ns: int) -> None:
        """The card asks for frames at `now_ns`; the first call begins the line."""
        if self._origin_ns is None:
            self._origin_ns = now_ns - self.frames * NS_PER_S / self._rate

    def pulled(self, frames: int, now_ns: int) -> None:
        """The card has taken `frames` frames at `now_ns`."""
        origin_ns = now_ns - self.frames * NS_PER_S / self._rate
        self.frames += frames
        if self._origin_ns is None or abs(origin_ns - self._origin_ns) > NS_PER_S / 2:
            # The first call, or the card stood still: a new line.
            self._origin_ns, self._calls, self._late_since_ns = origin_ns, 0, None
        self._calls += 1
        self._origin_ns += (origin_ns - self._origin_ns) / min(self._calls, SMOOTHING)
        self._watch_for_delay(origin_ns, now_ns)
        early_ns = max(0.0, self._origin_ns - origin_ns)
        if now_ns >= self._window_ends_ns:
            self._window_ends_ns = now_ns + EARLY_WINDOW_NS
            self._early_ns = [self._early_ns[1], early_ns]
        elif early_ns <= self._early_ns[1]:
            return
        self._early_ns[1] = early_ns
        self.early_ns = round(max(self._early_ns))

    def leaves_ns(self, frame: float) -> int:
        """When output frame `frame`, counted from the first, leaves. Needs one call."""
        assert self._origin_ns is not None
        return round(self._origin_ns + frame * NS_PER_S / self._rate)

    def _watch_for_delay(self, origin_ns: float, now_ns: int) -> None:
        """Moves the line at once where the card goes on later than before."""
        assert self._origin_ns is not None
        if origin_ns - self._origin_ns <= LATE_NS:
            self._late_since_ns = None
        elif self._late_since_ns is None:
            self._late_since_ns, self._late_origin_ns = now_ns, origin_ns
        else:
            self._late_origin_ns = min(self._late_origin_ns, origin_ns)
            if now_ns - self._late_since_ns >= STOOD_NS:
                self._origin_ns, self._late_since_ns = self._late_origin_ns, None


class ConvertedLine:
    """The line of frames that become those of another line, at another rate.

    line: where they leave in the end; rate: their own; line_rate: that line's.
    """

    def __init__(self, line: PullLine, *, rate: int, line_rate: int) -> None:
        self.frames = 0
        """Frames given out so far."""
        self._line = line
        self._ratio = line_rate / rate
        self._origin = line.frames
        """The line's frame that the first one becomes."""

    @property
    def early_ns(self) -> int:
        """As for the line itself."""
        return self._line.early_ns

    def called(self, now_ns: int) -> None:
        """Frames are asked for at `now_ns`."""
        self._line.called(now_ns)

    def pulled(self, frames: int) -> None:
        """So many frames were given out."""
        self.frames += frames

    def passed(self, line_frames: int) -> None:
        """So many frames of the line went by without asking for any of these."""
        self._origin += line_frames

    def leaves_ns(self, frame: float) -> int:
        """When a frame, counted from the first, leaves. Needs one call."""
        return self._line.leaves_ns(self._origin + frame * self._ratio)
