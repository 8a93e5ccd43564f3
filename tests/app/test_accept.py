"""The acceptance runs, shorter."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import accept

SECONDS = 10.0
RESTART_SECONDS = 4.0
"""It adds nothing to a restart when the sound goes on for longer after it."""


def test_many_at_once_are_bit_exact(tmp_path: Path) -> None:
    """Six pairs of every protection, and ten clients one of whom is killed, side by side."""
    runs = (accept.bit_exact, accept.ten_clients)
    folders = [tmp_path / run.__name__ for run in runs]
    for folder in folders:
        folder.mkdir()
    with ThreadPoolExecutor() as pool:
        rows = pool.map(lambda run, folder: run(folder, SECONDS), runs, folders)
        verdicts = [verdict for each in rows for verdict in each]
    assert len(verdicts) == 2 * len(accept.SUITES) + 1
    assert [str(each) for each in verdicts if not each.passed] == []


@pytest.mark.parametrize(
    ("loopback", "seconds"), [(False, SECONDS), (True, SECONDS / 2)], ids=["microphone", "monitor"]
)
def test_devices_without_a_gap(tmp_path: Path, loopback: bool, seconds: float) -> None:
    """A sound server that got no processor in time leaves gaps that are not ours, so a
    failure on a busy machine is tried again, twice."""
    for attempt in range(3):
        run = tmp_path / str(attempt)
        (verdict,) = accept.through_cards(run, seconds, loopback=loopback)
        print(verdict)
        if verdict.passed:
            return
    pytest.fail(str(verdict))


def test_a_restarted_server_is_heard_again_soon(tmp_path: Path) -> None:
    (verdict,) = accept.restart(tmp_path, RESTART_SECONDS)
    assert verdict.passed, str(verdict)
