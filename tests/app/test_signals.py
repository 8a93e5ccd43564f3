"""Goodbyes: files whole, peers told, and all within two seconds."""

from __future__ import annotations

import signal
import time

import pytest

from tests.app.sounds import has_recorded
from tests.processes import GOODBYE_S, Stage, wait_until
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


def test_a_second_interrupt_ends_it_at_once(stage: Stage) -> None:
    """A frozen peer that has not read the goodbye cannot hold it up."""
    server = stage.server()
    client = stage.client()
    client.says("stream:")
    client.signal(signal.SIGSTOP)
    begun_s = time.monotonic()
    server.signal(signal.SIGINT)
    wait_until(lambda: time.monotonic() > begun_s + 0.05, "it has begun to leave")
    server.signal(signal.SIGINT)
    server.ends(patience_s=0.45)
    client.signal(signal.SIGCONT)


def test_a_frozen_client_does_not_hold_the_goodbye_up(stage: Stage) -> None:
    server = stage.server()
    client = stage.client()
    client.says("stream:")
    client.signal(signal.SIGSTOP)
    assert server.leave() == 0
    client.signal(signal.SIGCONT)
    client.says("the server is closing")
