"""The acceptance runs, shorter."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import accept
from tests.machine import on_a_steady_machine

SECONDS = 10.0
MANY_SECONDS = 6.0
RESTART_SECONDS = 4.0
"""It adds nothing to a restart when the sound goes on for longer after it."""


def test_many_at_once_are_bit_exact(tmp_path: Path) -> None:
    """Six pairs of every protection, and ten clients one of whom is killed, side by side."""
    runs = (accept.bit_exact, accept.ten_clients)
    folders = [tmp_path / run.__name__ for run in runs]
    for folder in folders:
        folder.mkdir()
    with ThreadPoolExecutor() as pool:
        rows = pool.map(lambda run, folder: run(folder, MANY_SECONDS), runs, folders)
        verdicts = [verdict for each in rows for verdict in each]
    assert len(verdicts) == 2 * len(accept.SUITES) + 1
    assert [str(each) for each in verdicts if not each.passed] == []


@pytest.mark.parametrize(
    ("loopback", "seconds"), [(False, SECONDS), (True, SECONDS / 2)], ids=["microphone", "monitor"]
)
def test_devices_without_a_gap(tmp_path: Path, loopback: bool, seconds: float) -> None:
    """Where the machine stands still, a sound server leaves gaps that are not ours."""

    def run(attempt: int) -> None:
        folder = tmp_path / str(attempt)
        (verdict,) = accept.through_cards(folder, seconds, loopback=loopback)
        assert verdict.passed, str(verdict)

    on_a_steady_machine(run)


def test_a_restarted_server_is_heard_again_soon(tmp_path: Path) -> None:
    (verdict,) = accept.restart(tmp_path, RESTART_SECONDS)
    assert verdict.passed, str(verdict)
