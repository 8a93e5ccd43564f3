"""Servers that die and return, networks that go away: the sound comes back by itself."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import processes
from tests.accept import RETURN_S
from tests.app.sounds import (
    BLOCK_BYTES,
    SECOND_BYTES,
    common_start,
    has_recorded,
    is_silent_gap,
    recorded_bytes,
)
from tests.impair import Proxy
from tests.processes import Program, Stage, free_port, wait_until
from tests.recordings import read_pcm, speech_wav

BLOCKS_A_SECOND = 200
OUTAGE_S = 2.6
"""Longer than the two seconds by which a stream may jump ahead at once."""


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """Peers stopped by SIGSTOP: their sockets stay, they say nothing.

    server: of one of them, a client, and of `other_client`; client_of_server: the
    client of the other of them, a server.
    """

    standing_still: tuple[Program, Program]
    server: Program
    other_client: Program
    client_of_server: Program


@pytest.fixture(scope="module", autouse=True)
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frozen]:
    """They stand still from the first test of this file on, so that the last needs not
    wait fifteen seconds."""
    folder = tmp_path_factory.mktemp("frozen")
    with Stage(folder / "client") as one, Stage(folder / "server") as two:
        server, still_server = one.server(), two.server()
        still_client, other_client = one.client("-r", "0"), one.client("-r", "0")
        client_of_server = two.client("-r", "0")
        for client in (still_client, other_client, client_of_server):
            client.says("stream:")
        for program in (still_client, still_server):
            program.signal(signal.SIGSTOP)
        try:
            yield Frozen(
                standing_still=(still_client, still_server),
                server=server,
                other_client=other_client,
                client_of_server=client_of_server,
            )
        finally:
            for program in (still_client, still_server):
                program.signal(signal.SIGCONT)


def test_a_recording_keeps_wall_time_through_a_restart(stage: Stage) -> None:
    """Sound, silence for as long as there was none, sound: to the tenth of a second."""
    pcm = speech_wav(stage.folder / "in.wav", 4)
    sink = stage.folder / "got.wav"
    server = stage.server(source="in.wav")
    client = stage.client("-r", "0", sink="got.wav")
    has_recorded(sink, 0.5)
    server.kill()
    killed_s = time.monotonic()
    client.says("nothing listens there")
    before = recorded_bytes(sink)
    stage.server(source="in.wav")
    wait_until(lambda: recorded_bytes(sink) > before, "it records again", patience_s=2 * RETURN_S)
    back_s = time.monotonic()
    assert client.ends() == 0
    _, _, got = read_pcm(sink)
    first = common_start(got, pcm)
    assert first == before
    silence = got[first : len(got) - len(pcm)]
    assert is_silent_gap(silence)
    assert abs(len(silence) / SECOND_BYTES - (back_s - killed_s)) < 0.1
    assert got.endswith(pcm)


def test_a_network_that_goes_and_comes_leaves_silence_of_the_same_length(tmp_path: Path) -> None:
    """The server streams on: what comes after the outage is where it belongs. Once
    everything stands still for a while, once TCP connections are reset and refused."""
    pcm = speech_wav(tmp_path / "in.wav", 7)
    with ExitStack() as stack:
        runs = []
        for name in ("still", "reset"):
            stage = stack.enter_context(Stage(tmp_path / name))
            stage.server(source=tmp_path / "in.wav")
            proxy = stack.enter_context(Proxy(free_port(), stage.port))
            client = stage.client("-r", "0", sink="got.wav", port=proxy.port)
            runs.append((stage, proxy, client))
        (still, still_proxy, still_client), (reset, reset_proxy, reset_client) = runs
        for stage in (still, reset):
            has_recorded(stage.folder / "got.wav", 0.5)
        still_proxy.cut()
        reset_proxy.refuse()
        time.sleep(OUTAGE_S)
        still_proxy.mend()
        reset_proxy.mend()
        missed = []
        for stage in (still, reset):
            assert [program.ends() for program in stage.programs] == [0, 0], stage.said()
            missed.append(missed_blocks(read_pcm(stage.folder / "got.wav")[2], pcm))
    assert "trying again" not in still_client.said
    # The last of what was missed is sent again, too late.
    stream = still_client.stream
    assert stream["lost"] + stream["late"] == stream["concealed"] == missed[0]
    assert stream["late"] <= BLOCKS_A_SECOND
    assert "going on" in reset_client.said


def missed_blocks(got: bytes, pcm: bytes) -> int:
    """The length of the one gap, which is silent; all else is at its place."""
    assert len(got) == len(pcm)
    first = common_start(got, pcm)
    last = next(n for n in range(first, len(pcm), BLOCK_BYTES) if got[n:] == pcm[n:])
    assert first % BLOCK_BYTES == 0
    assert is_silent_gap(got[first:last])
    assert (last - first) / SECOND_BYTES > OUTAGE_S - 0.1
    return (last - first) // BLOCK_BYTES


def test_another_format_after_a_restart_goes_into_another_file(stage: Stage) -> None:
    first = speech_wav(stage.folder / "one.wav", 3)
    second = speech_wav(stage.folder / "two.wav", 1, rate=44_100, channels=1)
    server = stage.server(source="one.wav")
    client = stage.client("-r", "0", sink="got.wav")
    has_recorded(stage.folder / "got.wav", 0.3)
    server.kill()
    server = stage.server(source="two.wav")
    assert (client.ends(), server.ends()) == (0, 0)
    rate, channels, got = read_pcm(stage.folder / "got.wav")
    assert (rate, channels) == (48_000, 2)
    assert first.startswith(got)
    assert len(got) >= 0.3 * SECOND_BYTES
    assert read_pcm(stage.folder / "got-2.wav") == (44_100, 1, second)


def test_a_name_that_is_taken_is_not_replaced_by_the_next_format(stage: Stage) -> None:
    speech_wav(stage.folder / "one.wav", 3)
    speech_wav(stage.folder / "two.wav", 1, rate=44_100)
    (stage.folder / "got-2.wav").write_bytes(b"precious")
    server = stage.server(source="one.wav")
    client = stage.client("-r", "0", sink="got.wav")
    has_recorded(stage.folder / "got.wav", 0.2)
    server.kill()
    stage.server(source="two.wav")
    assert client.ends() == 2
    assert "got-2.wav" in client.said
    assert (stage.folder / "got-2.wav").read_bytes() == b"precious"
    read_pcm(stage.folder / "got.wav")


NO_SOCKET_AT_FIRST = """
import sys
from echowarp.main import main
from echowarp.net.client_link import TcpLink

open_udp = TcpLink.open_udp

def fails(link):
    TcpLink.open_udp = open_udp
    raise OSError("no descriptor is free")

TcpLink.open_udp = fails
sys.exit(main())
"""


def test_a_network_that_goes_when_the_session_begins(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a connection that was lost, and there is another one."""
    stage.server(source="tone")
    with monkeypatch.context() as changed:
        changed.setattr(processes, "PROGRAM", (sys.executable, "-c", NO_SOCKET_AT_FIRST))
        client = stage.client("--duration", "0.5")
    assert client.ends() == 0, client.said
    assert client.said.count("connected;") == 2
    assert client.said.count("trying again") == 1


def test_a_server_that_has_nothing_of_its_own_is_told(stage: Stage) -> None:
    """Once, to who has no name."""
    stage.server(source="none")
    client = stage.client()
    client.says("give --nickname to take part")
    assert client.leave() == 0
    assert client.said.count("--nickname") == 1


def test_a_server_that_leaves_says_so_and_the_client_waits_for_it(stage: Stage) -> None:
    server = stage.server(source="tone")
    client = stage.client("-r", "0")
    client.says("stream:")
    assert server.leave() == 0
    client.says("the server is closing; trying again")
    stage.server(source="tone")
    wait_until(lambda: client.said.count("stream:") == 2, "the client plays again")
    assert client.leave() == 0


def test_a_peer_that_stands_still_is_left_after_fifteen_seconds(frozen: Frozen) -> None:
    """The other side notices, whichever it is; other clients play on."""
    frozen.client_of_server.says("fell silent", patience_s=25)
    frozen.server.says("left", patience_s=25)
    for program in frozen.standing_still:
        program.signal(signal.SIGCONT)
    for client in (frozen.standing_still[0], frozen.client_of_server):
        wait_until(lambda c=client: c.said.count("stream:") == 2, "it plays again")  # type: ignore[misc]
    assert frozen.other_client.said.count("stream:") == 1
    assert frozen.other_client.stream["lost"] == 0
