"""Listeners shared among processes: they hear the same, and survive the death of one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from echowarp.wire.datagram import DatagramType
from tests.app.sounds import common_start, has_recorded
from tests.impair import Fate, Proxy, seeded, untouched
from tests.proc import children, command_line
from tests.processes import (
    GOODBYE_S,
    LOOPBACK,
    PASSWORD,
    ROOT,
    Program,
    Stage,
    free_port,
    wait_until,
)
from tests.recordings import read_pcm, speech_wav

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")

SCRIPT = Path(sys.executable).with_name("echowarp")
SOUND_S = 8.0
GONE_S = 5.0
"""Workers without a server end within so long."""
MOST_MISSED_S = 3.0
"""A worker that stands still is given up after a second; then there are a new session and
what was lost on the way to it."""


class Watched(Proxy):
    """Counts what has passed, by session and number, and by kind."""

    def __init__(self, server_port: int, fate: Fate = untouched) -> None:
        super().__init__(free_port(), server_port, fate)
        self.numbers: Counter[tuple[bytes, bytes]] = Counter()
        self.kinds: Counter[int] = Counter()

    def __enter__(self) -> Watched:
        super().__enter__()
        return self

    def _to_client(self, datagram: bytes) -> tuple[float, ...]:
        self.numbers[datagram[2:10], datagram[10:18]] += 1
        self.kinds[datagram[0]] += 1
        return super()._to_client(datagram)

    @property
    def sessions(self) -> int:
        """How many sessions were sent to."""
        return len({session for session, _ in self.numbers})


def workers(server: Program) -> list[int]:
    """The server's workers."""
    return [pid for pid in children(server.pid) if b"spawn_main" in command_line(pid)]


def gone(pids: Sequence[int]) -> bool:
    """Whether none of them runs."""
    return not any(command_line(pid) for pid in pids)


def four_clients(stage: Stage, port: int) -> list[Program]:
    """Clients that record, two for each of two workers."""
    clients = [
        stage.client("-r", "0", "--latency", "1000", sink=f"{n}.wav", port=port) for n in range(4)
    ]
    for n in range(4):
        has_recorded(stage.folder / f"{n}.wav", 0.3)
    return clients


def test_everybody_hears_everything_through_a_bad_network(stage: Stage) -> None:
    """Whoever joins later begins later; what it has is whole to the end. What is told of
    two workers is the sum of both."""
    pcm = speech_wav(stage.folder / "in.wav", SOUND_S)
    server = stage.server("--ssl", "--workers", "2", source="in.wav")
    assert len(workers(server)) == 2
    fate = seeded(7, only=range(20, 400), loss=0.05, duplicate=0.05, late=0.05, late_s=0.02)
    with Watched(stage.port, fate) as proxy:
        clients = four_clients(stage, proxy.port)
        assert [each.ends() for each in (server, *clients)] == [0] * 5, stage.said()
    for n, client in enumerate(clients):
        got = read_pcm(stage.folder / f"{n}.wav")[2]
        assert pcm.endswith(got)
        assert len(got) > len(pcm) / 2
        assert client.stream["repaired"] + client.stream["resent"] > 5
        assert client.said.count("stream:") == 1
    assert set(proxy.numbers.values()) == {1}
    blocks, resent = (proxy.kinds[kind] for kind in (DatagramType.BLOCK, DatagramType.RESEND))
    assert f"done: {blocks} blocks sent" in server.said
    assert (server.stream["sent"], server.stream["resent"]) == (blocks, resent)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=lambda how: how.name)
def test_a_worker_that_dies_or_stands_still_is_replaced(stage: Stage, how: int) -> None:
    """Its listeners come back by themselves, as new sessions, and their recordings keep
    their time; the others lose nothing."""
    pcm = speech_wav(stage.folder / "in.wav", SOUND_S)
    server = stage.server("--ssl", "--workers", "2", source="in.wav")
    before = workers(server)
    with Watched(stage.port) as proxy:
        clients = four_clients(stage, proxy.port)
        os.kill(before[0], how)
        server.says("worker 1 is replaced")
        wait_until(lambda: len(workers(server)) == 2 and gone(before[:1]), "another takes over")
        assert before[1] in workers(server)
        assert [each.ends() for each in (server, *clients)] == [0] * 5, stage.said()
    came_back = [client for client in clients if "going on" in client.said]
    assert len(came_back) == 2
    for n, client in enumerate(clients):
        got = read_pcm(stage.folder / f"{n}.wav")[2]
        wanted = pcm[-len(got) :]
        if client in came_back:
            start = common_start(got, wanted)
            assert start > 0.25 * 192_000
            back = start + round(MOST_MISSED_S * 192_000)
            assert got[back:] == wanted[back:] != b""
        else:
            assert got == wanted
            assert client.stream["lost"] == client.stream["concealed"] == 0
    assert set(proxy.numbers.values()) == {1}
    assert proxy.sessions == 6
    assert server.said.count("warning: worker") == 1
    assert "2 listeners must connect again" in server.said


def test_a_replacement_serves_as_well_as_the_first(stage: Stage) -> None:
    """Who joins after it plays; one worker after the other dies, and every one is replaced."""
    server = stage.server("--workers", "2")
    for n in range(3):
        client = stage.client("-r", "0")
        client.says("stream:")
        victim = workers(server)[n % 2]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda v=victim: len(workers(server)) == 2 and gone([v]), "another is there")  # type: ignore[misc]
    last = stage.client("--duration", "0.3")
    assert last.ends() == 0
    for client in stage.programs[1:-1]:
        before = client.stream["received"]
        wait_until(lambda c=client, b=before: c.stream["received"] > b, "it plays")  # type: ignore[misc]
        assert client.leave() == 0
    assert server.leave() == 0


def test_without_a_server_there_are_no_workers(stage: Stage) -> None:
    server = stage.server("--workers", "2")
    client = stage.client("-r", "0")
    client.says("stream:")
    left = children(server.pid)
    assert len(left) >= 2
    server.kill()
    wait_until(lambda: gone(left), "all are gone", patience_s=GONE_S)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("frozen", [False, True], ids=["running", "frozen"])
def test_a_signal_to_all_of_them_is_a_goodbye(stage: Stage, number: int, frozen: bool) -> None:
    """Ctrl+C in a terminal reaches workers as well; the server alone decides. A worker that
    stands still does not hold it up."""
    server = stage.server("--workers", "2")
    client = stage.client("-r", "0")
    client.says("stream:")
    left = children(server.pid)
    if frozen:
        os.kill(workers(server)[1], signal.SIGSTOP)
    os.killpg(server.pid, number)
    assert server.ends(patience_s=GOODBYE_S) == 0
    wait_until(lambda: gone(left), "all are gone", patience_s=GONE_S)
    assert "is replaced" not in server.said
    client.says("the server is closing")


def test_a_signal_while_workers_start(stage: Stage) -> None:
    """At any moment: it ends, without a word too many and without leaving anybody behind."""
    for n in range(6):
        server = stage.server("--workers", "3", ready=False)
        wait_until(lambda s=server: children(s.pid), "it starts them")  # type: ignore[misc]
        time.sleep(0.03 * n)
        left = children(server.pid)
        os.killpg(server.pid, (signal.SIGINT, signal.SIGTERM)[n % 2])
        assert server.ends(patience_s=GOODBYE_S) == 0
        assert "is replaced" not in server.said
        wait_until(lambda p=left: gone(p), "all are gone", patience_s=GONE_S)  # type: ignore[misc]


@pytest.mark.parametrize("words", [("-m", "echowarp"), (str(SCRIPT),)], ids=["module", "script"])
def test_workers_start_however_the_program_does(stage: Stage, words: tuple[str, ...]) -> None:
    """Each of them loads what its parent was started with."""
    if words == (str(SCRIPT),) and not SCRIPT.exists():
        pytest.skip("the command is not installed beside this interpreter")
    arguments = ("--workers", "2", "--source", "tone", "--bind", LOOPBACK, "--duration", "0.2")
    command = [sys.executable, *words, *arguments, "--udp_port", str(stage.port)]
    environment = {**os.environ, "ECHOWARP_PASSWORD": PASSWORD}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stderr is not None
        assert "listening on port" in server.stderr.readline()
        client = stage.client()
        assert client.ends() == 0
        said = server.stderr.read()
    assert server.returncode == 0
    assert "Traceback" not in said
    assert "is replaced" not in said


def test_a_machine_that_slept_replaces_nobody(stage: Stage) -> None:
    """All of them stood still, and nobody is to blame."""
    server = stage.server("--workers", "2")
    client = stage.client("-r", "0")
    client.says("stream:")
    before = workers(server)
    os.killpg(server.pid, signal.SIGSTOP)
    time.sleep(2)
    os.killpg(server.pid, signal.SIGCONT)
    came = client.stream.get("received", 0)
    wait_until(lambda: client.stream["received"] > came + 300, "it plays on")
    assert workers(server) == before
    assert "is replaced" not in server.said
    assert client.said.count("stream:") == 1


@pytest.mark.parametrize("value", ["0", "x", "-1", ""])
def test_a_wrong_number_is_one_clear_line(stage: Stage, value: str) -> None:
    server = stage.server(f"--workers={value}", ready=False)
    assert server.ends() == 2
    (line,) = server.said.splitlines()
    assert "--workers" in line


def test_one_worker_needs_no_other_process(stage: Stage) -> None:
    server = stage.server("--workers", "1")
    assert children(server.pid) == []


def test_a_worker_that_cannot_start_is_one_clear_line(stage: Stage) -> None:
    hook = "import os, sys\nif '--multiprocessing-fork' in sys.orig_argv: os._exit(3)\n"
    (stage.folder / "sitecustomize.py").write_text(hook)
    paths = os.pathsep.join((str(stage.folder), str(ROOT)))
    server = stage.server("--workers", "2", ready=False, environment={"PYTHONPATH": paths})
    assert server.ends() == 1
    (line,) = server.said.splitlines()
    assert "a worker process does not start" in line


def test_a_replacement_that_cannot_start_costs_the_others_nothing(stage: Stage) -> None:
    """Its listeners go to the other worker."""
    paths = os.pathsep.join((str(stage.folder), str(ROOT)))
    server = stage.server("--workers", "2", environment={"PYTHONPATH": paths})
    clients = [stage.client("-r", "0") for _ in range(2)]
    for client in clients:
        client.says("stream:")
    hook = "import os, sys\nif '--multiprocessing-fork' in sys.orig_argv: os._exit(3)\n"
    (stage.folder / "sitecustomize.py").write_text(hook)
    os.kill(workers(server)[0], signal.SIGKILL)
    wait_until(lambda: any(c.said.count("stream:") > 1 for c in clients), "one comes back")
    wait_until(lambda: all("received" in c.stream for c in clients), "both have a stream")
    counts = [client.stream["received"] for client in clients]
    wait_until(
        lambda: all(c.stream["received"] > n + 300 for c, n in zip(clients, counts, strict=True)),
        "both play",
    )
    assert sorted(client.said.count("stream:") == 1 for client in clients) == [False, True]
    assert server.said.count("warning: worker") < 6
    assert server.leave() == 0
