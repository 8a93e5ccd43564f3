from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.processes import Stage
from tests.web.browser import chromium


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One for all tests of this folder; each opens windows of its own."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Servers without a password; none has shown a traceback, whatever happened."""
    with Stage(tmp_path, password=None) as made:
        yield made
    for program in made.programs:
        assert "Traceback" not in program.said, program.said
        assert "unexpected failure" not in program.said, program.said
