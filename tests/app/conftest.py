from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import Stage
from tests.pulse import private_pulse


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Servers and clients of one port; none has shown a traceback, whatever happened."""
    with Stage(tmp_path) as made:
        yield made
    for program in made.programs:
        assert "Traceback" not in program.said, program.said
        assert "unexpected failure" not in program.said, program.said


@pytest.fixture(scope="session")
def pulse() -> Iterator[dict[str, str]]:
    """The environment of processes that use a private PulseAudio."""
    with private_pulse() as env:
        yield env
