"""What the demo concludes from exit statuses, statistics and the recording."""

from __future__ import annotations

from dataclasses import dataclass

from tests.demo.compare import Comparison
from tests.demo.stats import SILENCE_DB, Line, last_stream, loudest_db, shown

ENOUGH = 0.99
"""Share of the blocks that must arrive for the demo to have worked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How one run ended.

    ended: whether it ended by itself; then the exit statuses of both processes,
    the statistics they wrote, and the comparison of source and recording, None
    where a device played.
    """

    ended: bool
    server_status: int
    client_status: int
    server_lines: list[Line]
    client_lines: list[Line]
    comparison: Comparison | None


def problems(run: Run) -> list[str]:
    """Everything that speaks against the sound having arrived; empty when it has."""
    found = [
        f"the {name} ended with exit status {status}"
        for name, status in (("server", run.server_status), ("client", run.client_status))
        if status != 0
    ]
    if not run.ended:
        found.append("it did not end by itself")
    if run.comparison is None:
        found += _problems_of_playback(run)
    elif run.comparison.problem:
        found.append(run.comparison.problem)
    elif run.comparison.share < ENOUGH:
        found.append(f"only {percent(run.comparison.share)} of the blocks arrived bit-exact")
    return found


def _problems_of_playback(run: Run) -> list[str]:
    """A device keeps nothing to compare: count what came, and hear that it is loud."""
    found = []
    sent = last_stream(run.server_lines).get("sent")
    received = last_stream(run.client_lines).get("received")
    if not sent or received is None:
        found.append("the statistics do not say how many blocks were sent and received")
    elif received < ENOUGH * sent:
        found.append(f"only {received} of {sent} blocks arrived")
    level_db = loudest_db(run.client_lines)
    if level_db is None or level_db <= SILENCE_DB:
        found.append(f"what arrived was silence ({shown(level_db, ' dB')})")
    return found


def summary(run: Run) -> list[str]:
    """The figures of a run, a line each."""
    server, client = last_stream(run.server_lines), last_stream(run.client_lines)
    lines = [
        f"blocks sent       {shown(server.get('sent'))}",
        f"blocks received   {shown(client.get('received'))}",
        f"blocks lost       {shown(client.get('lost'))}",
        f"blocks late       {shown(client.get('late'))}",
        f"blocks concealed  {shown(client.get('concealed'))}",
        f"delay             {shown(client.get('delay_ms'), ' ms')}",
    ]
    if run.comparison is not None and not run.comparison.problem:
        lines.append(f"bit-exact         {percent(run.comparison.share)}")
    return lines


def percent(share: float) -> str:
    """A share as percent, never rounded up to 100 %."""
    return f"{int(share * 10_000) / 100:g} %"
