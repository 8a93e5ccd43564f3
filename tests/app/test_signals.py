"""Goodbyes: files whole, peers told, and all within two seconds."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from tests.app.sounds import has_recorded
from tests.processes import GOODBYE_S, ROOT, Program, Stage, wait_until
from tests.recordings import read_pcm, speech_wav

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_a_goodbye(stage: Stage, number: int) -> None:
    """To the client: its recording is whole. To the server: its client is told."""
    pcm = speech_wav(stage.folder / "in.wav", 20)
    server = stage.server("--ssl", source="in.wav")
    client = stage.client(sink="got.wav")
    has_recorded(stage.folder / "got.wav", 0.5)
    other = stage.client("-r", "0")
    other.says("stream:")
    client.signal(number)
    assert client.ends(patience_s=GOODBYE_S) == 0
    _, _, got = read_pcm(stage.folder / "got.wav")
    assert got == pcm[: len(got)]
    assert len(got) > 90_000
    server.says("said goodbye")
    server.signal(number)
    assert server.ends(patience_s=GOODBYE_S) == 0
    other.says("the server is closing; trying again")
    assert other.leave() == 0


def test_before_there_is_anything_to_say_goodbye_to(stage: Stage) -> None:
    """A server without a client, a client without a server."""
    server = stage.server()
    client = stage.client("-r", "0", port=stage.port + 1, sink="got.wav")
    client.says("trying again")
    for program in (server, client):
        program.signal(signal.SIGINT)
        assert program.ends(patience_s=GOODBYE_S) == 0
    assert not (stage.folder / "got.wav").exists()


def _leaves(program: Program, told: Program, number: int) -> None:
    """After two signals; the other end has a goodbye more then."""

    def goodbyes() -> int:
        return told.said.count("goodbye") + told.said.count("closing")

    already, begun_s = goodbyes(), time.monotonic()
    program.signal(number)
    wait_until(lambda: time.monotonic() > begun_s + 0.02, "it may have begun to leave")
    program.signal(number)
    assert program.ends(patience_s=GOODBYE_S) == 0
    wait_until(lambda: goodbyes() > already, f"{program.name} has said goodbye")


@pytest.mark.parametrize("number", SIGNALS)
def test_two_in_quick_succession_are_one_goodbye(stage: Stage, number: int) -> None:
    """As they come to a process and to its group. Of a talker, a listener and a server."""
    server = stage.server(source="none")
    anna = stage.client("--nickname", "anna", "--source", "tone", "--room", "hall", name="anna")
    bob = stage.client("--nickname", "bob", "--source", "tone", "--room", "hall", name="bob")
    listener = stage.client("-r", "0")
    for each in (anna, bob):
        each.says("in room hall")
    wait_until(lambda: len(anna.stats) and len(anna.stats[-1]["streams"]) == 2, "anna hears bob")
    listener.says("connected")
    for leaving, told in ((bob, server), (listener, server), (server, anna)):
        _leaves(leaving, told, number)
    anna.says("bob has left")
    assert anna.leave() == 0


def test_where_the_goodbye_takes_too_long_another_one_ends_it() -> None:
    code = (
        "import time\n"
        "from echowarp.app import watch\n"
        "watch.GOODBYE_S = 0.2\n"
        "signals = watch.Signals()\n"
        "signals.before_exit = lambda: print('left', flush=True)\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    time.sleep(0.01)\n"
        "    if signals.asked:\n"
        "        print('asked', flush=True)\n"
        "        time.sleep(0.3)\n"
        "        print('late', flush=True)\n"
    )
    command = (sys.executable, "-c", code)
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as hanging:
        assert hanging.stdout is not None
        try:
            for said in ("ready", "asked"):
                assert hanging.stdout.readline() == f"{said}\n"
                hanging.send_signal(signal.SIGTERM)
            # The one that comes with the first is part of it.
            assert hanging.stdout.readline() == "late\n"
            hanging.send_signal(signal.SIGINT)
            assert "left\n" in hanging.stdout.read()
            assert hanging.wait(GOODBYE_S) == 1
        finally:
            hanging.kill()


def test_a_frozen_client_does_not_hold_the_goodbye_up(stage: Stage) -> None:
    server = stage.server()
    client = stage.client()
    client.says("stream:")
    client.signal(signal.SIGSTOP)
    assert server.leave() == 0
    client.signal(signal.SIGCONT)
    client.says("the server is closing")
