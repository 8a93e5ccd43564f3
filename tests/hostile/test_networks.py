"""Cases 11 and 13: datagrams that somebody plays with, and networks that do."""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import pytest

from echowarp.wire.datagram import HEADER_BYTES, DatagramType, pack_header, parse_header
from tests.app.sounds import has_recorded, recorded_bytes
from tests.hostile.attackers import Guest, came, new_host
from tests.hostile.beside import Beside, Listener
from tests.hostile.middle import Middle
from tests.processes import wait_until
from tests.session.pair import flip

FAR = 1 << 21


class Jumble:
    """Passes on what a server sends, late and in another order, twice, and long after; and
    with it what nobody has sent in this session."""

    def __init__(self, foreign: list[bytes], *, tagged: bool) -> None:
        self.passed = 0
        self._foreign, self._tagged = foreign, tagged
        self._old: deque[bytes] = deque(maxlen=100)
        self._held: bytes | None = None

    def __call__(self, datagram: bytes) -> Iterable[bytes]:
        self.passed += 1
        self._old.append(datagram)
        if self.passed % 7 == 0 and self._held is None:
            self._held = datagram
            return
        yield datagram
        if self._held is not None:
            yield self._held
            self._held = None
        yield datagram
        yield self._old[0]
        yield from self._forged(datagram)

    def _forged(self, datagram: bytes) -> Iterable[bytes]:
        header, later = parse_header(datagram), self.passed + 50
        yield self._foreign[self.passed % len(self._foreign)]
        # As a server of another suite would send it: without a tag, or with more behind it.
        if self._tagged:
            later_header = pack_header(header.kind, header.stream, header.session, later)
            yield later_header + datagram[HEADER_BYTES:-16]
            yield later_header + datagram[HEADER_BYTES:]
            yield flip(8 * HEADER_BYTES)(datagram)
        else:
            yield pack_header(
                header.kind, header.stream, header.session, header.number + FAR
            ) + bytes(500)
            yield pack_header(DatagramType.PROBE, 0, header.session, later)
            yield pack_header(header.kind, 99, header.session, header.number) + bytes(500)
            yield datagram[:HEADER_BYTES]


def foreign_datagrams(beside: Beside) -> list[bytes]:
    """What the server sends in a session of somebody else's."""
    with Guest(beside.port, new_host()) as guest:
        guest.knock()
        return [guest.udp.recv(2_000) for _ in range(20)]


def plays_through(beside: Beside, *, tagged: bool) -> None:
    """A listener behind somebody who jumbles all: its recording is whole."""
    jumble = Jumble(foreign_datagrams(beside), tagged=tagged)
    with Middle(beside.port, new_host(), down_datagram=jumble) as middle:
        listener = Listener(beside.stage, beside.pcm, name="jumbled", port=middle.port)
        listener.plays()
        wait_until(lambda: jumble.passed > 400, "it has played for two seconds")
        listener.is_undisturbed()
        listener.leaves()
        stream = listener.program.stream
        assert stream["rejected"] + stream["duplicate"] > 400
        assert stream["reordered"] > 0


def test_11_audio_under_encryption(undisturbed: Beside) -> None:
    plays_through(undisturbed, tagged=True)


@pytest.mark.parametrize("suite", ["integrity", "none"])
def test_11_audio_under_another_suite(tmp_path: Path, suite: str) -> None:
    """Suite none has no tag: replays, copies and other sessions are dropped all the same."""
    with Beside(tmp_path, *(("-i",) if suite == "integrity" else ())) as beside:
        plays_through(beside, tagged=suite == "integrity")
        beside.is_undisturbed()


def test_11_datagrams_to_the_server(undisturbed: Beside) -> None:
    """Replayed, altered, of another's session or address: none of them counts, none moves
    the stream; what is right still does."""
    with Guest(undisturbed.port, new_host()) as one, Guest(undisturbed.port, new_host()) as other:
        one.knock()
        other.knock()
        probe = one.seal(DatagramType.PROBE)
        one.udp.send(probe)
        one.move()
        other.udp.send(one.seal(DatagramType.PROBE))
        for datagram in (probe, flip(80)(probe), flip(8 * len(probe) - 1)(probe), probe[:-1]):
            one.udp.send(datagram)
            other.udp.send(datagram)
        heard = one.knock()
        assert heard.port == one.udp.getsockname()[1]
        assert heard.number > parse_header(probe).number + 1


def test_13_a_port_that_changes_or_is_not_there(undisturbed: Beside) -> None:
    """A router that forgets, and a port that is closed for a moment, which the client's
    system reports as a reset: the stream follows within the session."""
    with Middle(undisturbed.port, new_host()) as middle:
        client = undisturbed.stage.client(port=middle.port)
        client.says("stream:")

        def goes_on() -> None:
            before = client.stream.get("received", 0)
            wait_until(lambda: client.stream.get("received", 0) > before + 100, "it goes on")

        for _ in range(2):
            middle.rebind()
            goes_on()
        middle.vanish()
        time.sleep(0.1)
        middle.appear()
        goes_on()
        assert client.leave() == 0
        assert middle.connections == client.said.count("stream:") == 1


def test_13_a_client_whose_port_is_closed(undisturbed: Beside) -> None:
    """The server's datagrams come back as errors; it goes on, and so does the client from
    another port."""
    with ExitStack() as stack:
        guests = [stack.enter_context(Guest(undisturbed.port, new_host())) for _ in range(5)]
        for guest in guests:
            guest.knock()
            guest.udp.close()
        undisturbed.is_undisturbed()
        for guest in guests:
            guest.move()
            guest.knock()
            wait_until(lambda g=guest: came(g.udp), "it hears again")  # type: ignore[misc]


def test_13_a_client_that_sleeps(undisturbed: Beside) -> None:
    """For two seconds: it keeps its session and goes on."""
    client = undisturbed.stage.client(sink="sleeper.wav", name="sleeper")
    sink = undisturbed.stage.folder / "sleeper.wav"
    has_recorded(sink, 0.2)
    client.signal(signal.SIGSTOP)
    time.sleep(2)
    client.signal(signal.SIGCONT)
    before = recorded_bytes(sink)
    wait_until(lambda: recorded_bytes(sink) > before, "it records again")
    assert client.said.count("stream:") == 1
    assert client.leave() == 0
