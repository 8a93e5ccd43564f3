"""What --self_test and --simulate found, in words: a table, an advice, a verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from echowarp.config.settings import Settings
from echowarp.errors import EchoWarpError
from echowarp.media.target import CEILING_NS

MOST_MISSING = 0.005
"""More is a gap a second: nobody calls that well."""
START_BLOCKS = 10
"""In a short run the start counts too much: so many are always forgiven."""
FEW_MISSING = 0.0005
FEW_BLOCKS = 4
"""A longer target would hide what is missing beyond both. The start alone, when nothing
is known of the network, may cost some blocks."""
LOST_MISSING = 0.25
LOST_CURED = 0.01
"""So much is missing though so many were cured: the network loses blocks, not only time,
and a longer target would not bring them back."""
LATE_MS = 10.0
"""A machine that wakes this late now and then needs a longer target."""
MOST_FOLLOWED_MS = CEILING_NS / 1e6
"""No policy goes further; more delay needs a number."""
QUIET_MS = 20.0
"""A target that is not above this is nothing but a sink's own needs."""
LABEL_COLUMNS = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured. None: not measured here.

    blocks: of the stream, as the sound card had to play them; concealed: those that it
    had to make up; recorded, damaged: blocks of the recording, and those not exactly
    as sent; repaired, resent: blocks that came in these ways; overhead: packets with
    repair rows and resends, as a share of those with blocks; delay_ms: from capture to
    playback, the median over the run, and its parts by name; target_ms, reason: the
    last; drift_ppm: of the card's clock; wake_median_ms, wake_p99_ms: how
    late the card's thread woke up; devices: one line.
    """

    blocks: int
    concealed: int
    recorded: int | None = None
    damaged: int | None = None
    repaired: int
    resent: int
    overhead: float
    delay_ms: float | None
    delay_parts_ms: dict[str, float]
    target_ms: float | None
    reason: str
    drift_ppm: float | None = None
    wake_median_ms: float | None = None
    wake_p99_ms: float | None = None
    devices: str | None = None

    @property
    def cured(self) -> int:
        """Blocks that repair rows or requests brought."""
        return self.repaired + self.resent

    @property
    def missing(self) -> float:
        """The larger share of blocks that were not played, or recorded, as sent; 0..1."""
        card = self.concealed / self.blocks if self.blocks else 1.0
        if self.recorded is None or self.damaged is None:
            return card
        return max(card, self.damaged / self.recorded if self.recorded else 1.0)


def report(
    figures: Figures, settings: Settings, problems: list[str], say: Callable[[str], None]
) -> None:
    """Says it all, a line at a time; problems: what failed beside the figures.

    Raises EchoWarpError with the verdict when not all is well.
    """
    for line in table(figures):
        say(line)
    latency, why = advice(figures, settings)
    say(_row("advice", f"--latency {latency}: {why}"))
    found = verdict(figures, problems)
    if found:
        raise EchoWarpError(f"not well: {found}")
    say("verdict: all is well")


def _many_missing(figures: Figures) -> bool:
    return figures.missing > max(FEW_MISSING, FEW_BLOCKS / max(1, figures.blocks))


def table(figures: Figures) -> Iterator[str]:
    """The lines of the table."""
    yield _row("delay", _delay(figures))
    yield _row("last target", figures.reason or "unknown")
    kept = _share(figures.concealed, figures.blocks)
    yield _row("sound card", f"simulated: {figures.blocks} blocks, {kept} missing")
    if figures.recorded is not None and figures.damaged is not None:
        kept = _share(figures.damaged, figures.recorded)
        yield _row("recording", f"{figures.recorded} blocks, {kept} not as sent")
    yield _row(
        "repaired", f"{figures.repaired} blocks from repair rows, as they were lost or overtaken"
    )
    yield _row("resent", f"{figures.resent} blocks on request")
    yield _row("overhead", f"{figures.overhead:.1%} more packets than blocks".replace("%", " %"))
    if figures.drift_ppm is not None:
        yield _row("drift", f"{figures.drift_ppm:.1f} ppm between the two clocks")
    if figures.wake_median_ms is not None and figures.wake_p99_ms is not None:
        late = f"{figures.wake_median_ms:.2f} ms late, 99 of 100 below {figures.wake_p99_ms:.2f} ms"
        yield _row("wake-ups", late)
    if figures.devices is not None:
        yield _row("devices", figures.devices)


def advice(figures: Figures, settings: Settings) -> tuple[str, str]:
    """The --latency to give on such a network and machine, and why."""
    if figures.missing >= 1:
        return "auto", "not one block came, so nothing is known of this network"
    if figures.wake_p99_ms is not None and figures.wake_p99_ms > LATE_MS:
        late = f"{figures.wake_p99_ms:.0f} ms"
        return "robust", f"this machine wakes up to {late} late: close what keeps it busy"
    if _many_missing(figures):
        return _advice_for_more(figures, settings)
    if not figures.cured and figures.target_ms is not None and figures.target_ms <= QUIET_MS:
        return "low", "nothing was lost, and nothing came late"
    return "auto", "it follows what the network does, and next to nothing was missing"


def _advice_for_more(figures: Figures, settings: Settings) -> tuple[str, str]:
    """The advice where blocks were missing."""
    missing = f"{figures.missing:.2%} of the blocks were missing".replace("%", " %")
    given_ms, target_ms = settings.latency_ms, figures.target_ms or 0.0
    if given_ms is not None and given_ms < MOST_FOLLOWED_MS:
        return "auto", f"{missing} with {settings.latency} ms"
    if figures.missing > LOST_MISSING and figures.cured > LOST_CURED * figures.blocks:
        return "auto", f"{missing}: no delay brings back what this network loses"
    if given_ms is not None:
        return settings.latency, f"{missing} with it, and more delay will hardly help"
    if settings.latency == "robust" or target_ms >= MOST_FOLLOWED_MS:
        more_ms = 20 * math.ceil(target_ms / 10)
        return str(more_ms), f"{missing} with {settings.latency}, at {target_ms:.0f} ms"
    return "robust", f"{missing} with {settings.latency}"


def verdict(figures: Figures, problems: list[str]) -> str:
    """What is not well, "" when all is. problems: what failed beside the figures."""
    found = list(problems)
    if not figures.blocks:
        found.append("nothing was played")
    elif figures.missing > max(MOST_MISSING, START_BLOCKS / figures.blocks):
        found.append(f"{figures.missing:.2%} of the blocks were missing".replace("%", " %"))
    if figures.delay_ms is None:
        found.append("the delay could not be measured")
    return "; ".join(found)


def _row(label: str, text: str) -> str:
    return f"  {label:<{LABEL_COLUMNS}} {text}"


def _delay(figures: Figures) -> str:
    if figures.delay_ms is None:
        return "unknown"
    parts = " + ".join(f"{ms:.1f} {name}" for name, ms in figures.delay_parts_ms.items())
    return f"{figures.delay_ms:.1f} ms, median: {parts}"


def _share(count: int, of: int) -> str:
    return f"{count} ({count / of:.3%})".replace("%", " %") if of else f"{count}"
