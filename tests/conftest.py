"""Settings for the whole suite."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The same examples in every run, and no verdict that depends on the machine's speed.
settings.register_profile(
    "echowarp",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("echowarp")

TESTS = Path(__file__).parent
TOGETHER = {TESTS / "hostile"}
"""Folders whose files share one server, and so one process."""
LONG_OF_APP = (
    "rooms",
    "calls",
    "workers",
    "web_cache_limits",
    "cache_both_ends",
    "outage",
    "talk_nat",
)
LONGEST = [
    *(TESTS / folder for folder in ("hostile", "web", "soak")),
    *(TESTS / f"app/test_{name}.py" for name in LONG_OF_APP),
    TESTS / "app",
]
"""What takes longest comes first, so that several processes end at nearly one time."""


@pytest.hookimpl(tryfirst=True)  # before the groups are looked at
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes share the suite, each takes whole files, or these folders."""
    for item in items:
        group = item.path.parent if item.path.parent in TOGETHER else item.path
        item.add_marker(pytest.mark.xdist_group(str(group)))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    places = {item.path, *item.path.parents}
    return next((n for n, path in enumerate(LONGEST) if path in places), len(LONGEST))
