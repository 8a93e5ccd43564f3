"""Attackers as processes of their own, which yield the processors to what they attack, as
machines elsewhere would."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.hostile.attackers import new_host
from tests.processes import ROOT

FLOOD = "garbage by UDP, as fast as one process can"
NICE = ("nice", "-n", "10", sys.executable, "-m")


def attacked(port: int, seconds: float, *names: str) -> dict[str, int]:
    """Makes the attacks of those names again and again for so long; all of them, and a
    flood of garbage, where none is given. Returns how often each was made."""
    at = (str(port), str(seconds))
    storm = (*NICE, "tests.hostile.storm", *at, *names)
    flood = (*NICE, "tests.hostile.flood", at[0], new_host(), at[1])
    with subprocess.Popen(storm, cwd=ROOT, stdout=subprocess.PIPE) as attacks:
        made: dict[str, int] = {}
        if not names:
            made[FLOOD] = int(subprocess.check_output(flood, cwd=ROOT))
        made |= json.loads(attacks.communicate()[0])
    return made
