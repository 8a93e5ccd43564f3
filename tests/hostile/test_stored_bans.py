"""Case 15: a ban list that somebody else has written, or that cannot be written."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from echowarp.wire.codes import Code
from tests.hostile.attackers import Guest, guess, new_host
from tests.hostile.beside import Beside, is_quiet
from tests.processes import ROOT, Stage, wait_until

MIB = 1 << 20


def many_lines() -> bytes:
    """Addresses, more than anybody will ever ban."""
    lines = (f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}\n" for n in range(200_000))
    return "".join(lines).encode()


BINARY = random.Random(15).randbytes(10 * MIB)
LISTS: dict[str, bytes | None] = {
    "missing": None,
    "empty": b"",
    "binary": random.Random(15).randbytes(100_000),
    "binary, 10 MB": BINARY,
    "one line of 10 MB": b"1" * (10 * MIB),
    "no end of line": b"10.0.0.1\n10.0.0.2",
    "UTF-16": "10.0.0.1\r\n10.0.0.2\r\n".encode("utf-16"),
}


def test_15_whatever_is_in_it_is_kept_and_added_to(tmp_path: Path) -> None:
    """One warning at most; a ban is one more line behind what was there, and holds."""
    with ExitStack() as stack:
        stages = {name: stack.enter_context(Stage(tmp_path / name)) for name in LISTS}
        for name, stage in stages.items():
            content = LISTS[name]
            if content is not None:
                (stage.folder / "bans.txt").write_bytes(content)
            stage.server("-r", "1", "--ban_list", "bans.txt", ready=False)
        with ThreadPoolExecutor(len(stages)) as pool:
            list(pool.map(is_added_to, stages.values(), LISTS.values()))


def is_added_to(stage: Stage, content: bytes | None) -> None:
    (server,) = stage.programs
    server.says("listening on port")
    host, file = new_host(), stage.folder / "bans.txt"
    assert guess(stage.port, host) == Code.WRONG_PASSWORD
    assert guess(stage.port, host) == Code.BANNED
    before = content or b""
    end = b"" if before.endswith(b"\n") or not before else b"\n"
    wanted = before + end + host.encode() + b"\n"
    wait_until(lambda: file.exists() and file.read_bytes() == wanted, "the ban is saved")
    with Guest(stage.port, new_host()) as guest:
        guest.join()
    is_quiet(server)
    assert server.said.count("skipped") <= 1
    assert max(map(len, server.said.splitlines())) < 200


def test_15_a_ban_costs_the_listeners_nothing(tmp_path: Path) -> None:
    """Also where megabytes are written anew for each."""
    (tmp_path / "bans.txt").write_bytes(many_lines())
    with Beside(tmp_path, "-r", "1", "--ban_list", "bans.txt") as beside:
        hosts = [new_host() for _ in range(4)]
        with ThreadPoolExecutor(len(hosts)) as pool:
            codes = list(pool.map(lambda host: guess(beside.port, host), hosts))
        assert codes == [Code.WRONG_PASSWORD] * len(hosts)
        wait_until(
            lambda: all(host.encode() in (tmp_path / "bans.txt").read_bytes() for host in hosts),
            "all bans are saved",
        )
        beside.is_undisturbed()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("bans.txt.")]


@pytest.mark.parametrize("kind", ["read-only", "a folder", "a pipe"])
def test_15_one_that_is_not_to_be_written(stage: Stage, kind: str) -> None:
    """It is read; where it cannot be replaced that is said, and the ban holds all the same."""
    file = stage.folder / "bans.txt"
    if kind == "a folder":
        file.mkdir()
    elif kind == "a pipe":
        os.mkfifo(file)
    else:
        file.write_text("10.0.0.1\n")
        file.chmod(0o444)
    server = stage.server("-r", "1", "--ban_list", file.name)
    host = new_host()
    assert guess(stage.port, host) == Code.WRONG_PASSWORD
    assert guess(stage.port, host) == Code.BANNED
    if kind == "read-only":
        # Its folder may be written, so it is replaced, and stays read-only.
        wait_until(lambda: file.read_text() == f"10.0.0.1\n{host}\n", "the ban is saved")
        assert file.stat().st_mode & 0o777 == 0o444
    else:
        server.says("could not be saved")
    is_quiet(server)


KILLED = """
import os, signal, ipaddress
from echowarp.app import ban_file
at = {at!r}
def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)
setattr(os, at, die)
ban_file.add_ban("bans.txt", ipaddress.ip_network("10.9.9.9"))
"""


def test_15_a_writer_that_is_killed(stage: Stage) -> None:
    """In the midst of it: the old list is whole, and the next ban is added to it."""
    file, old = stage.folder / "bans.txt", "10.0.0.1\n10.0.0.2\n"
    file.write_text(old)
    for at in ("fsync", "chmod", "replace"):
        writer = subprocess.run(
            (sys.executable, "-c", KILLED.format(at=at)),
            cwd=stage.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=False,
        )
        assert writer.returncode == -9
        assert file.read_text() == old
    stage.server("-r", "1", "--ban_list", file.name)
    host = new_host()
    assert guess(stage.port, host) == Code.WRONG_PASSWORD
    wait_until(lambda: file.read_text() == f"{old}{host}\n", "the ban is saved")
