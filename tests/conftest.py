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

TOGETHER = {Path(__file__).parent / "hostile"}
"""Folders whose files share one server, and so one process."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes share the suite, each takes whole files, or these folders."""
    for item in items:
        group = item.path.parent if item.path.parent in TOGETHER else item.path
        item.add_marker(pytest.mark.xdist_group(str(group)))
