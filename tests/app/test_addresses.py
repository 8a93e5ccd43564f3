"""Where a server listens, and what a client may call it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.app.test_refusals import complaint
from tests.processes import Program, Stage


def plays(client: Program) -> bool:
    return client.ends() == 0 and client.stream["received"] > 0


def test_every_address_by_default(stage: Stage) -> None:
    """IPv4, IPv6, a name, another address of this machine: several clients at once."""
    server = stage.server(bind=None)
    addresses = ("127.0.0.1", "::1", "localhost", "127.0.0.2", "127.0.0.1")
    clients = [stage.client("--duration", "0.3", address=each) for each in addresses]
    assert [plays(client) for client in clients] == [True] * len(addresses), stage.said()
    assert "::1 joined" in server.said


@pytest.mark.parametrize(
    ("bind", "reached", "not_reached"),
    [
        ("127.0.0.3", "127.0.0.3", "127.0.0.1"),
        ("::1", "::1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.9", "::1"),
    ],
)
def test_only_where_it_is_told_to(stage: Stage, bind: str, reached: str, not_reached: str) -> None:
    stage.server(bind=bind)
    client = stage.client("--duration", "0.3", address=reached)
    refused = stage.client("-r", "1", address=not_reached)
    assert plays(client), client.said
    assert "nothing listens there" in complaint(refused, 4)


def test_ipv6_is_heard_to_the_last_frame(stage: Stage) -> None:
    server = stage.server("-i", "--duration", "0.5", bind="::1")
    client = stage.client(address="::1", sink="-")
    assert (client.ends(), server.ends()) == (0, 0)
    assert len(client.out.read_bytes()) == 4 * 24_000
    assert client.stream["suite"] == "integrity"


UNSHARE = ("unshare", "--map-root-user", "--net")


def can_unshare() -> bool:
    """Whether this user may make a network of their own."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    return subprocess.run([*UNSHARE, "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not can_unshare(), reason="no network of our own to be had")
def test_link_local_addresses(tmp_path: Path) -> None:
    """With their zone, on both sides, on the command line and in a file."""
    command = [*UNSHARE, sys.executable, "-m", "tests.app.link_local", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == "ok\n", done.stderr


@pytest.mark.skipif(not can_unshare(), reason="no network of our own to be had")
def test_an_address_that_changes_in_mid_call(tmp_path: Path) -> None:
    """As with another Wi-Fi: no server is told, and the old connection is not closed."""
    command = [*UNSHARE, sys.executable, "-m", "tests.app.new_address", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == "ok\n", done.stderr


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("fe80::1", "fe80::1 is a link-local address: add its interface, as in fe80::1%NAME"),
        ("fe80::1%nosuch", "fe80::1 has no interface nosuch here"),
    ],
)
def test_a_zone_that_is_missing_or_wrong(stage: Stage, address: str, said: str) -> None:
    assert said in complaint(stage.client("-r", "1", address=address), 4)
    server = stage.server(bind=address, ready=False)
    assert f"--bind {said}" in complaint(server, 2)
