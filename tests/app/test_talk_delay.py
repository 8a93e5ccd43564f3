"""What each of a room knows of the delay of the others, with real processes."""

from __future__ import annotations

import pytest

from tests.app.test_calls import talker
from tests.processes import Program, Stage, wait_until

CLOCKS_MS = 10
"""By so much a busy machine may be wrong about another's clock."""
LATENCY_MS, MOST_BESIDE_MS = 400, 200
"""How long blocks wait, and what may come to it where the machine is busy."""


@pytest.mark.parametrize("code", [None, "four words"], ids=["plain", "end to end"])
def test_each_knows_the_delay_of_each(stage: Stage, code: str | None) -> None:
    """From capture to playback, through the relay: blocks wait as long as they are told to."""
    environment = {} if code is None else {"ECHOWARP_E2E": code}
    stage.server(source="none")
    people = [
        talker(
            *(stage, name, "--room", "hall", "--latency", str(LATENCY_MS)),
            source=f"tone:{hz}",
            sink="null",
            environment=environment,
        )
        for name, hz in (("one", 440), ("two", 550), ("three", 660))
    ]

    def delays(program: Program) -> dict[str, float]:
        streams = program.stats[-1]["streams"] if program.stats else []
        return {s["talker"]: s["delay_ms"] for s in streams if s["delay_ms"] is not None}

    for each in people:
        wait_until(lambda each=each: len(delays(each)) == 2, "it knows the delays")  # type: ignore[misc]
        assert each.stats[-1]["name"] not in delays(each), "nobody hears itself"
        for delay_ms in delays(each).values():
            assert LATENCY_MS - CLOCKS_MS <= delay_ms < LATENCY_MS + MOST_BESIDE_MS
        for stream in each.stats[-1]["streams"]:
            parts = stream["delay_parts_ms"]
            if stream["delay_ms"] is not None:
                assert parts["capture"] == pytest.approx(5)
                assert parts["buffer"] > 0
                assert sum(parts.values()) == pytest.approx(stream["delay_ms"], abs=0.01)
