"""Calls that something befalls on their way: a translator of addresses does to a client's
address what it likes, the relay is gone and comes again."""

from __future__ import annotations

import selectors
import socket
from itertools import pairwise
from pathlib import Path

from tests.app.sounds import recorded_bytes
from tests.app.test_calls import talker
from tests.impair import Proxy
from tests.processes import Program, Stage, free_port, wait_until
from tests.recordings import read_pcm, speech_wav

PIECE_BYTES = 96
"""1 ms of mono at 48 kHz; no two of the speech are the same."""
SECOND_BYTES = 96_000


class Translator(Proxy):
    """A router with NAT: its client is seen under the router's address, at a port that the
    router chooses for each transport."""

    def __init__(self, port: int, server_port: int) -> None:
        super().__init__(port, server_port)
        self.seen: list[tuple[str, int]] = []
        """Where datagrams come from, as the server sees it, newest last."""
        self._ghosts: list[socket.socket] = []

    def __enter__(self) -> Translator:
        super().__enter__()
        return self

    def forget_udp(self) -> None:
        """The router has forgotten its UDP mappings: each client gets another port."""

        def act() -> None:
            self._note()
            for address, upstream in self._clients.items():
                fresh = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                fresh.connect(self._server)
                self._selector.unregister(upstream)
                upstream.close()
                self._watch(fresh, address)
                self._clients[address] = fresh
            self._note()

        self._call(act)

    def lose_client(self) -> None:
        """The client's way in breaks; what the router holds towards the server stays, so
        that the server does not notice."""

        def act() -> None:
            for pipe in self._pipes:
                inner, outer = pipe.ends
                for end in (inner, outer):
                    self._selector.unregister(end)
                inner.close()
                self._ghosts.append(outer)
            self._pipes.clear()

        self._call(act)

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)  # type: ignore[arg-type]
        for ghost in self._ghosts:
            ghost.close()

    def _watch(self, upstream: socket.socket, address: tuple[str, int]) -> None:
        self._selector.register(
            upstream, selectors.EVENT_READ, lambda: self._from_server(upstream, address)
        )

    def _note(self) -> None:
        self.seen += [upstream.getsockname() for upstream in self._clients.values()]


def in_a_call(stage: Stage, port: int, *arguments: str) -> tuple[Program, Program]:
    """anna behind the translator and bob, who hear each other."""
    for name in ("anna", "bob"):
        speech_wav(stage.folder / f"{name}.wav", 20, channels=1)
    bob = talker(stage, "bob", "--auto_answer", source="bob.wav", sink="bob-hears.wav")
    bob.says("here as bob")
    words = ("--call", "bob", *arguments)
    anna = talker(stage, "anna", *words, source="anna.wav", sink="anna-hears.wav", port=port)
    hear(stage, 1)
    return anna, bob


def hear(stage: Stage, seconds: float) -> None:
    """Waits until both have heard so much more of each other."""
    for path in (stage.folder / "anna-hears.wav", stage.folder / "bob-hears.wav"):
        size = recorded_bytes(path) + seconds * SECOND_BYTES
        wait_until(lambda p=path, s=size: recorded_bytes(p) >= s, f"{path.name} grows")  # type: ignore[misc]


def missed_s(got: Path, said: Path) -> float:
    """How many seconds of what was said a recording lacks. Asserts that all the rest is as it
    was said, and that its end is in its place, as near as a clock on the wall tells."""
    (_, _, got_pcm), (_, _, said_pcm) = read_pcm(got), read_pcm(said)
    found: list[tuple[int, int]] = []
    place = 0
    for at in range(0, len(got_pcm) - PIECE_BYTES, PIECE_BYTES):
        piece = got_pcm[at : at + PIECE_BYTES]
        # As a rule it is where the last one ends.
        if said_pcm[place : place + PIECE_BYTES] != piece:
            place = said_pcm.find(piece) if any(piece) else -1
        if place >= 0:
            found.append((at, place))
        place = max(0, place + PIECE_BYTES)
    last_at, last_place = found[-1]
    assert len(got_pcm) - last_at < SECOND_BYTES / 2, "the end is heard"
    assert abs(last_place - last_at) < SECOND_BYTES / 4, "time is kept"
    assert all(one[1] < other[1] + SECOND_BYTES / 4 for one, other in pairwise(found)), "in order"
    return (len(got_pcm) - len(found) * PIECE_BYTES) / SECOND_BYTES


def leave(stage: Stage, anna: Program, bob: Program) -> tuple[float, float]:
    """Ends the call: what each has missed, seconds."""
    assert anna.leave() == 0
    bob.says("hung up")
    assert bob.leave() == 0
    folder = stage.folder
    return (
        missed_s(folder / "anna-hears.wav", folder / "bob.wav"),
        missed_s(folder / "bob-hears.wav", folder / "anna.wav"),
    )


def test_a_port_that_changes_in_mid_call_is_not_heard(stage: Stage) -> None:
    stage.server("--ssl", source="none")
    with Translator(free_port(), stage.port) as router:
        anna, bob = in_a_call(stage, router.port)
        for _ in range(3):
            router.forget_udp()
            hear(stage, 0.7)
        assert len(set(router.seen)) == 4
        # Some of the first blocks may come before the stream is announced.
        assert max(leave(stage, anna, bob)) < 0.2
        assert "trying again" not in anna.said + bob.said


def test_another_address_in_mid_call_is_another_session_and_the_same_call(stage: Stage) -> None:
    """The server still holds the old session: the token that its client comes back with
    displaces it, and the name is not taken."""
    server = stage.server("--ssl", source="none")
    with Translator(free_port(), stage.port) as router:
        anna, bob = in_a_call(stage, router.port)
        router.lose_client()
        router.forget_udp()
        anna.says("back again")
        server.says("anna is back")
        hear(stage, 2)
        missed = leave(stage, anna, bob)
    assert max(missed) < 5
    assert anna.said.count("in a call with bob") == bob.said.count("in a call with anna") == 1
    assert "hung up" not in anna.said
    assert "called so already" not in anna.said


def test_end_to_end_goes_on_under_new_keys(stage: Stage) -> None:
    stage.server(source="none")
    code = {"ECHOWARP_E2E": "four words"}
    speech_wav(stage.folder / "bob.wav", 20, channels=1)
    bob = talker(stage, "bob", "--auto_answer", source="bob.wav", environment=code)
    bob.says("here as bob")
    with Translator(free_port(), stage.port) as router:
        anna = talker(
            *(stage, "anna", "--call", "bob"),
            source="none",
            sink="anna-hears.wav",
            port=router.port,
            environment=code,
        )
        path = stage.folder / "anna-hears.wav"
        wait_until(lambda: recorded_bytes(path) > SECOND_BYTES, "anna hears bob")
        router.lose_client()
        anna.says("back again")
        size = recorded_bytes(path)
        wait_until(lambda: recorded_bytes(path) > size + 2 * SECOND_BYTES, "and again")
        wait_until(lambda: anna.stats[-1]["end_to_end"] == "end to end", "it is told")
        assert anna.leave() == 0
    assert anna.said.count("bob has the same code") == 2
    assert missed_s(path, stage.folder / "bob.wav") < 5


def test_a_call_outlives_the_restart_of_its_relay(stage: Stage) -> None:
    """Each hears exactly the other before it, and again after it, in its place."""
    server = stage.server("--ssl", source="none")
    anna, bob = in_a_call(stage, stage.port)
    server.kill()
    anna.says("trying again")
    stage.server("--ssl", source="none")
    anna.says("the call with bob goes on")
    bob.says("the call with anna goes on")
    hear(stage, 2)
    missed = leave(stage, anna, bob)
    assert max(missed) < 6
    assert "hung up" not in anna.said
