from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pulse import private_pulse


@pytest.fixture(scope="session")
def pulse() -> Iterator[dict[str, str]]:
    """The environment of processes that use a private PulseAudio."""
    with private_pulse() as env:
        yield env
