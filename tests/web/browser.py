"""A Chromium without a window, and what comes out of its loudspeaker."""

from __future__ import annotations

import base64
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

HERE = Path(__file__).parent
NAMES = ("chromium", "chromium-browser", "google-chrome")
LAN_NAME = "echowarp.lan"
"""Leads to this machine, but is no name of it: a page from there is not secure."""
OPTIONS = (
    # The sound goes nowhere, and needs no card.
    "--mute-audio",
    f"--host-resolver-rules=MAP {LAN_NAME} 127.0.0.1",
)

Sound = NDArray[np.float32]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's browser, or whichever is installed. Skips where none is but on Linux, where
    `./dev` installs it."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None and sys.platform != "linux":
        pytest.skip("no Chromium is installed")
    assert path is not None, "Chromium is not installed: ./dev test does it"
    with sync_playwright() as playwright:
        browser = _launch(playwright, path)
        yield browser
        browser.close()


def _launch(playwright: Playwright, path: str) -> Browser:
    options = list(OPTIONS)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        # Its sandbox has no use for root, and refuses to be made.
        options.append("--no-sandbox")
    return playwright.chromium.launch(executable_path=path, args=options)


def record(page: Page) -> None:
    """From now on each page that is loaded keeps what it sends to the loudspeaker."""
    page.add_init_script(path=HERE / "tap.js")


def take_sound(page: Page) -> tuple[Sound, int]:
    """What was sent to the loudspeaker since the last look, its left side, and its rate."""
    encoded, rate = page.evaluate("takeSound()")
    return np.frombuffer(base64.b64decode(encoded), np.float32), rate
