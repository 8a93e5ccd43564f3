"""Fuzzes every reader of outside bytes: `./dev fuzz [SECONDS] [TARGET...] [--keep]`.

SECONDS are for each target. Inputs that reach new code are forgotten; with --keep those
found last are added to the corpus. An input that makes a target fail is kept in any case:
the test suite fails until the defect is mended, and knows it ever after.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path

from tests.fuzz.targets import BY_NAME

CORPUS = Path(__file__).parent / "corpus"
DEFAULT_S = 20
LONGEST_BYTES = 4_096
SLOW_S = 10
"""An input that takes longer is a defect as well."""
ROOM_MB = 1_024
MOST_KEPT = 25
"""Of one run and target: the corpus is there to be read by the test suite each time."""


def main() -> int:
    """Returns the exit status: 1 when any target failed."""
    parser = ArgumentParser(prog="./dev fuzz", description=__doc__)
    parser.add_argument("seconds", nargs="?", type=int, default=DEFAULT_S)
    parser.add_argument("targets", nargs="*", help=f"of: {', '.join(BY_NAME)}")
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    names = given.targets or list(BY_NAME)
    unknown = [name for name in names if name not in BY_NAME]
    if unknown:
        parser.error(f"there is no target {unknown[0]!r}")
    failed = [name for name in names if not fuzz(name, given.seconds, keep=given.keep)]
    for name in failed:
        print(f"{name} failed; the input is in {CORPUS / name}", file=sys.stderr)
    return bool(failed)


def fuzz(name: str, seconds: int, *, keep: bool) -> bool:
    """Fuzzes one target. Returns whether it is without a defect, and says what was done."""
    corpus = CORPUS / name
    corpus.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder)
        options = (
            *(f"-max_total_time={seconds}", f"-max_len={LONGEST_BYTES}", f"-timeout={SLOW_S}"),
            *(f"-rss_limit_mb={ROOM_MB}", "-print_final_stats=1", f"-artifact_prefix={corpus}/"),
        )
        run = _run(name, *options, str(found), str(corpus))
        figures = dict(
            line.removeprefix("stat::").split(":", 1)
            for line in run.stderr.splitlines()
            if line.startswith("stat::")
        )
        units = figures.get("number_of_executed_units", "?").strip()
        print(f"{name}: {units} inputs, {len(list(found.iterdir()))} of them new", flush=True)
        if run.returncode:
            print(run.stderr[-3_000:], file=sys.stderr)
            return False
        if keep:
            # Those found last have come furthest.
            newest = sorted(found.iterdir(), key=lambda path: path.stat().st_mtime_ns)[-MOST_KEPT:]
            for path in newest:
                shutil.copy(path, corpus / path.name)
    return True


def _run(name: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "tests.fuzz.one", name, *options)
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)


if __name__ == "__main__":
    sys.exit(main())
