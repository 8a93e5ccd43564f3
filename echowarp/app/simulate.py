"""`--simulate`: an hour of a stream in seconds, and what became of it in words."""

from __future__ import annotations

from collections.abc import Callable

from echowarp.app.simulation import RATE, Simulation
from echowarp.app.verdict import report, table
from echowarp.config.impair import Impairment
from echowarp.config.settings import Settings
from echowarp.media.format import Format

DURATION_S = 3600.0


def run_simulation(
    settings: Settings,
    impairment: Impairment,
    say: Callable[[str], None],
    show: Callable[[str], None] = lambda line: None,
) -> None:
    """Runs it and says what it found; shows meanwhile, in a live line, how far it is.

    Stopped by the user it says what it found until then. Raises EchoWarpError when not
    all is well.
    """
    duration_s = settings.duration or DURATION_S
    fmt = Format.for_blocks(rate=RATE, channels=1, block_ms=settings.block_ms)
    what = f"{duration_s:g} s in blocks of {fmt.block_ns / 1e6:g} ms"
    say(f"simulation: {what}; {impairment}, seed {impairment.seed}")

    def tell(done_s: float) -> None:
        show(f"simulated {done_s:.0f} s of {duration_s:g} s, {100 * done_s / duration_s:.0f} %")

    simulation = Simulation(settings, impairment, fmt, duration_s, tell)
    try:
        figures = simulation.run()
    except KeyboardInterrupt:
        show("")
        say(f"stopped after {simulation.done_s:.0f} s of {duration_s:g} s; until then:")
        for line in table(simulation.figures()):
            say(line)
        return
    show("")
    report(figures, settings, [], say)
