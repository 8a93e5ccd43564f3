"""Everything at once: a server under all attacks still serves ten listeners."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.hostile.attackers import new_host
from tests.hostile.beside import Beside
from tests.hostile.storm import ATTACKS
from tests.hostile.test_stored_bans import BINARY
from tests.processes import ROOT, wait_until

LISTENERS = 10
STORM_S = 5.0


def test_not_one_missing_block(tmp_path: Path) -> None:
    """The attackers have processes of their own and yield the processors to what they
    attack, as machines elsewhere would; the ban list that they fill is of ten megabytes."""
    bans = tmp_path / "bans.txt"
    bans.write_bytes(BINARY)
    with Beside(
        tmp_path, "--ssl", "-r", "3", "--ban_list", bans.name, listeners=LISTENERS
    ) as beside:
        descriptors, _ = beside.held
        nice = ("nice", "-n", "10", sys.executable, "-m")
        storm = (*nice, "tests.hostile.storm", str(beside.port), str(STORM_S))
        flood = (*nice, "tests.hostile.flood", str(beside.port), new_host(), str(STORM_S))
        with (
            subprocess.Popen(storm, cwd=ROOT, stdout=subprocess.PIPE) as attacks,
            subprocess.Popen(flood, cwd=ROOT, stdout=subprocess.PIPE) as garbage,
        ):
            made = json.loads(attacks.communicate()[0])
            assert int(garbage.communicate()[0]) > 1_000
        assert set(made) == {attack.__name__ for attack in ATTACKS}
        beside.is_undisturbed()
        # A thread more may wait to tell how many lines of the log were not shown.
        wait_until(lambda: beside.held[0] <= descriptors, "no descriptor is left")
