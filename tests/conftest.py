"""Settings for the whole suite."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# The same examples in every run, and no verdict that depends on the machine's speed.
settings.register_profile(
    "echowarp",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("echowarp")
