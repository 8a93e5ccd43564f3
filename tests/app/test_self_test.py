"""--self_test and --simulate as processes: what a user sees, and the exit status."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path

import pytest

from tests.proc import children
from tests.processes import Stage, wait_until


def run(stage: Stage, *arguments: str) -> tuple[int, str]:
    program = stage.run("test", *arguments, stats=False)
    return program.ends(patience_s=90), program.said


def number(said: str, pattern: str) -> float:
    found = re.search(pattern, said)
    assert found, said
    return float(found[1])


def agrees(status: int, said: str) -> bool:
    """Whether exit status and verdict say the same. A machine that other work keeps from
    waking up in time is not well, and is told so."""
    if status == 0:
        return said.endswith("verdict: all is well\n")
    return status == 1 and "error: not well: " in said and "this machine wakes up" in said


def test_a_clean_network(stage: Stage) -> None:
    status, said = run(stage, "--self_test", "--duration", "3")
    assert agrees(status, said), said
    assert "a clean network" in said
    assert 5 < number(said, r"delay +([\d.]+) ms") < 500
    assert number(said, r"recording +(\d+) blocks") <= 600
    assert number(said, r"blocks, (\d+) .* not as sent") <= 3
    assert number(said, r"simulated: (\d+) blocks") > 300
    assert number(said, r"wake-ups +([\d.]+) ms") >= 0
    assert re.search(r"devices +(none|\d+)", said)
    assert re.search(r"advice +--latency (low|auto|robust): ", said)
    assert not any(path.name.startswith("got") for path in stage.folder.iterdir())


def test_a_bad_network(stage: Stage) -> None:
    spec = "loss=5%,jitter=10ms,delay=2ms,duplicate=1%,seed=7"
    status, said = run(stage, "--self_test", "--duration=3", f"--impair={spec}", "--ssl")
    assert agrees(status, said), said
    assert "5 % loss, 1 % duplicates, 2 ms delay, 10 ms jitter each way" in said
    assert number(said, r"repaired +(\d+)") + number(said, r"resent +(\d+)") > 10
    assert number(said, r"overhead +([\d.]+) %") > 5
    assert 10 < number(said, r"delay +([\d.]+) ms") < 500


def test_a_hopeless_network_is_status_1(stage: Stage) -> None:
    status, said = run(stage, "--self_test", "--duration=3", "--impair=loss=60%,burst=20")
    assert status == 1, said
    last = said.splitlines()[-1]
    assert "error: not well: " in last and "of the blocks were missing" in last


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_nothing_is_left_when_it_is_stopped(stage: Stage, tmp_path: Path) -> None:
    program = stage.run("test", "--self_test", stats=False, environment={"TMPDIR": str(tmp_path)})
    wait_until(lambda: list(tmp_path.glob("echowarp-*/card.stats")), "the clients have begun")
    clients = children(program.pid)
    assert len(clients) == 3
    program.signal(signal.SIGTERM)
    assert program.ends() == 0, program.said
    assert not list(tmp_path.glob("echowarp-*"))
    assert not any(Path(f"/proc/{child}").exists() for child in clients)


def test_interrupted_it_says_so(stage: Stage, tmp_path: Path) -> None:
    program = stage.run("test", "--self_test", stats=False, environment={"TMPDIR": str(tmp_path)})
    wait_until(lambda: list(tmp_path.glob("echowarp-*/card.stats")), "the clients have begun")
    program.signal(signal.SIGINT)
    assert program.ends() == 0, program.said
    assert program.said.endswith("stopped before its end: there is nothing to tell yet\n")
    assert not list(tmp_path.glob("echowarp-*"))


def test_a_simulation(stage: Stage) -> None:
    arguments = ("--simulate", "--duration=20", "--impair=loss=3%,jitter=5ms,seed=3")
    status, said = run(stage, *arguments)
    assert status == 0, said
    again, said_again = run(stage, *arguments)
    assert (again, said_again) == (0, said)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--self_test", "--impair=loss=5"), "lacks its %"),
        (("--source=tone", "--impair=loss=5%"), "--self_test or --simulate only"),
        (("--self_test", "--duration=1000"), "at most 600 s"),
    ],
)
def test_usage_errors_are_one_line(stage: Stage, arguments: tuple[str, ...], words: str) -> None:
    status, said = run(stage, *arguments)
    assert (status, len(said.splitlines())) == (2, 1)
    assert words in said
