"""Everything at once: a server under all attacks still serves ten listeners."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile.beside import Beside
from tests.hostile.siege import FLOOD, attacked
from tests.hostile.storm import ATTACKS
from tests.hostile.test_stored_bans import BINARY
from tests.processes import wait_until

LISTENERS = 10
STORM_S = 5.0


@pytest.mark.xdist_group("takes all of the machine")
def test_not_one_missing_block(tmp_path: Path) -> None:
    """The ban list that the attackers fill is of ten megabytes."""
    bans = tmp_path / "bans.txt"
    bans.write_bytes(BINARY)
    with Beside(
        tmp_path, "--ssl", "-r", "3", "--ban_list", bans.name, listeners=LISTENERS
    ) as beside:
        descriptors, _ = beside.held
        made = attacked(beside.port, STORM_S)
        assert made.pop(FLOOD) > 1_000
        assert set(made) == {attack.__name__ for attack in ATTACKS}
        beside.is_undisturbed()
        # A thread more may wait to tell how many lines of the log were not shown.
        wait_until(lambda: beside.held[0] <= descriptors, "no descriptor is left")
