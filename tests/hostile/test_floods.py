"""Cases 5, 12 and 14: more than a server can take, and peers that take nothing."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from echowarp.session.crowding import MAX_UNFINISHED
from echowarp.wire.datagram import DatagramType, pack_header
from echowarp.wire.records import Ping, pack_record
from tests.hostile import attackers, failing_network
from tests.hostile.attackers import Guest, came, new_host
from tests.hostile.beside import Beside, is_quiet
from tests.processes import ROOT, Stage, wait_until

CONNECTIONS = 500
FLOOD_S = 1.5


def test_5_connections_that_say_nothing_or_little(undisturbed: Beside) -> None:
    """500 of twenty addresses: never more than 32 are kept, none of them five seconds; who
    comes meanwhile is served, and nothing is left of them."""
    before = undisturbed.held
    hosts = [new_host() for _ in range(20)]
    with ExitStack() as stack:
        held = []
        for host in itertools.islice(itertools.cycle(hosts), CONNECTIONS):
            sock = stack.enter_context(attackers.connected(undisturbed.port, host))
            attackers.greeting(sock)
            held.append(sock)
        # Whatever comes now is a goodbye.
        kept = [sock for sock in held if not came(sock)]
        assert 0 < len(kept) <= MAX_UNFINISHED
        with Guest(undisturbed.port, new_host()) as guest:
            guest.join()
        trickle = itertools.cycle(attackers.hello()[:40])

        def is_over() -> bool:
            byte = bytes((next(trickle),))
            for sock in [each for each in kept[::2] if not came(each)]:
                with suppress(OSError):
                    sock.send(byte)
            time.sleep(0.1)
            return all(map(came, kept))

        wait_until(is_over, "the last of them is closed")
        wait_until(lambda: undisturbed.held == before, f"{undisturbed.held} is {before} again")
    assert not undisturbed.banned & set(hosts)


@contextmanager
def flood(port: int, host: str, *, seconds: float = FLOOD_S) -> Iterator[None]:
    """Garbage by UDP as fast as a process of its own can send it."""
    command = (sys.executable, "-m", "tests.hostile.flood", str(port), host, str(seconds))
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        yield
        sent, _ = process.communicate()
    assert process.returncode == 0
    assert int(sent) > 1_000


def test_12_garbage_and_probes_that_are_not_the_clients(undisturbed: Beside) -> None:
    """A flood of noise, probes of another's session from an address of its own, replayed
    and altered ones from the right address: no answer, no stream that moves, no line."""
    flooder, thief = new_host(), new_host()
    with Guest(undisturbed.port, new_host()) as guest, ExitStack() as stack:
        session = guest.join().keys.session
        heard = guest.knock()
        probe = guest.seal(DatagramType.PROBE)
        guest.udp.send(probe)
        lines = undisturbed.server.said.count("\n")
        stranger = stack.enter_context(attackers.open_udp(undisturbed.port, thief))
        spoofer = stack.enter_context(attackers.open_udp(undisturbed.port, guest.host))
        with flood(undisturbed.port, flooder):
            for number in range(200):
                forged = pack_header(DatagramType.PROBE, 0, session, 1_000 + number) + bytes(16)
                altered = probe[:10] + (number + 5).to_bytes(8, "big") + probe[18:]
                for sock in (stranger, spoofer):
                    for datagram in (probe, forged, altered):
                        sock.send(datagram)
            stranger.send(guest.seal(DatagramType.PROBE))
            # What the kernel had no room for is gone: one datagram at a time gets through.
            guest.udp.send(guest.seal(DatagramType.PROBE))
        for sock in (stranger, spoofer):
            assert not came(sock)
        assert guest.udp.recv(2_000)
        # The next UDP_OK comes for a move of its own: no other was made in between.
        guest.move()
        assert guest.knock().port == guest.udp.getsockname()[1] != heard.port
        assert len(guest._heard()) == 2
    is_quiet(undisturbed.server)
    assert not undisturbed.said_of(flooder)
    assert not undisturbed.said_of(thief)
    assert undisturbed.server.said.count("\n") - lines <= 2


def test_14_a_peer_that_never_reads(undisturbed: Beside) -> None:
    """Its answers are kept until 64 KiB of them wait; then it is closed."""
    before = undisturbed.held
    with Guest(undisturbed.port, new_host(), receive_bytes=4_096) as guest:
        sealer = guest.sealer()
        ping = pack_record(Ping(value=1))
        with pytest.raises(ConnectionError):
            while True:
                guest.sock.sendall(b"".join(sealer.seal(ping) for _ in range(1_000)))
        wait_until(lambda: undisturbed.held == before, f"{undisturbed.held} is {before} again")


def test_14_datagrams_that_the_system_does_not_take(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's datagrams to one listener fail in every way that a system has; it is not
    thrown out for it, the other one gets all, and they are counted, not logged."""
    program = (sys.executable, "-m", failing_network.__name__)
    with monkeypatch.context() as patch:
        patch.setattr("tests.processes.PROGRAM", program)
        server = stage.server("--ssl")
    client = stage.client("--latency", "700")
    with Guest(stage.port, failing_network.UNREACHABLE) as guest:
        guest.knock()
        wait_until(lambda: client.stream.get("received", 0) > 300, "the other listener plays")
        assert not came(guest.udp)
        guest.move()
        guest.knock()
        assert (client.stream["lost"], client.stream["late"]) == (0, 0)
    assert (client.leave(), server.leave()) == (0, 0)
    is_quiet(server)
    refused = int(server.said.rsplit(" not taken by the network", 1)[0].rsplit(" ", 1)[1])
    assert refused > 100
    assert server.said.count("\n") < 12, server.said
