"""What a long-lived listener has heard, by its own `--stats`: gaps that an injected fault
explains, gaps that none does, and whether its clock stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tests.demo.stats import Line, stream

LOOK_BACK_S = 2.5
"""A gap is counted when it is over, a block as lost up to 2 s after its turn."""
BACK_S = 2.0
"""It plays again once it has done so for this long."""
CLOCK_S = 0.5
"""What a listener on a busy machine may be behind or ahead of the time for a moment."""
CLOCK_LINES = 3
"""So many lines in a row are no moment."""
SILENT_S = 6.0
"""A listener that writes no line for so long does not run."""


class Tail:
    """The new lines of a file of statistics."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_bytes = 0

    def lines(self) -> Iterator[Line]:
        """Those that were completed since it was last asked."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._read_bytes)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        yield from map(json.loads, whole.splitlines())


class Ear:
    """Judges the lines of one listener, told as they come with the time at which they did.

    name: in what it finds; block_s: how long a block lasts.
    """

    def __init__(self, name: str, *, block_s: float) -> None:
        self.name = name
        self.explained = 0
        """Blocks that did not come, and why is known."""
        self.explained_gaps = 0
        """How often that was."""
        self.unexplained = 0
        """Blocks that were missing for no reason."""
        self.found: list[str] = []
        """What nothing explains, in words."""
        self.blocks = 0
        """Received so far, over all streams."""
        self.furthest_s = 0.0
        """The most that its clock was off, while nothing explained it."""
        self._block_s = block_s
        self._faults = 0
        self._fault_over_s: float | None = None
        self._back_since_s: float | None = None
        self._excused = True
        self._missing = 0
        self._whole: tuple[float, int] | None = None
        """Time and blocks of the last line before a fault."""
        self._heard_s: float | None = None
        self._stretch: tuple[float, int] | None = None
        self._off_lines = 0

    @property
    def plays(self) -> bool:
        """Whether it plays, and no fault is under way or just over."""
        return not self._excused

    def fault_begins(self) -> None:
        """From now on something explains gaps."""
        self._faults += 1
        self._excused, self._back_since_s = True, None

    def fault_ends(self, now_s: float) -> None:
        """It is over; gaps are explained until the listener plays again."""
        self._faults -= 1
        self._fault_over_s, self._back_since_s = now_s, None

    def hear(self, line: Line, now_s: float) -> None:
        """One line, which came at `now_s`."""
        self._heard_s = now_s
        figures = stream(line)
        if not figures:
            return
        received, missing = int(figures["received"]), int(figures["concealed"])
        flowed, missed = received - self.blocks, missing - self._missing
        self.blocks, self._missing = received, missing
        time_s = float(line["time"])
        if self._excused:
            self._look_for_sound(line, flowed, time_s, now_s)
            return
        if missed:
            self.unexplained += missed
            self.found.append(
                f"{self.name}: {missed} blocks are missing at {now_s:.1f} s,"
                " and nothing explains it"
            )
        self._whole = time_s, received
        self._check_clock(time_s, now_s)

    def _look_for_sound(self, line: Line, flowed: int, time_s: float, now_s: float) -> None:
        if self._faults or line["state"] != "playing" or flowed * self._block_s < 0.5:
            self._back_since_s = None
            return
        if self._back_since_s is None:
            self._back_since_s = now_s
        over_s = self._fault_over_s
        settled = over_s is None or now_s - over_s >= LOOK_BACK_S
        if settled and now_s - self._back_since_s >= BACK_S:
            self._excused, self._stretch = False, None
            self._count_explained(time_s)
            self._whole = time_s, self.blocks

    def _count_explained(self, time_s: float) -> None:
        if self._whole is None:
            return  # it has only just begun
        then_s, then_blocks = self._whole
        gone = round((time_s - then_s) / self._block_s) - (self.blocks - then_blocks)
        if gone * self._block_s > CLOCK_S / 2:
            self.explained += gone
            self.explained_gaps += 1

    def _check_clock(self, time_s: float, now_s: float) -> None:
        turns = self.blocks + self._missing
        if self._stretch is None:
            self._stretch, self._off_lines = (time_s, turns), 0
            return
        begun_s, begun_turns = self._stretch
        off_s = (turns - begun_turns) * self._block_s - (time_s - begun_s)
        self.furthest_s = max(self.furthest_s, abs(off_s))
        self._off_lines = self._off_lines + 1 if abs(off_s) > CLOCK_S else 0
        if self._off_lines < CLOCK_LINES:
            return
        self.found.append(
            f"{self.name}: at {now_s:.1f} s its clock is {1000 * off_s:+.0f} ms off"
            " since it last began to play"
        )
        self._stretch = None

    def check_alive(self, now_s: float) -> None:
        """Nobody is silent who should say something each second."""
        if self._heard_s is not None and now_s - self._heard_s > SILENT_S:
            self.found.append(f"{self.name}: no statistics since {self._heard_s:.1f} s")
            self._heard_s = now_s
