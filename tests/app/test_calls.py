"""Calls through a relay, with real processes: each hears exactly the other."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import processes
from tests.app.sounds import has_recorded, recorded_bytes
from tests.impair import Proxy
from tests.processes import PASSWORD, Program, Stage, free_port, wait_until
from tests.recordings import read_pcm, speech_wav

PATIENT = ("--latency", "2000")
"""Blocks wait for as long as a busy machine may hold them up."""


def talker(
    stage: Stage, name: str, *arguments: str, source: str | Path = "tone", **options: Any
) -> Program:
    """A client with a nickname."""
    words = ("--nickname", name, "--source", str(source), *arguments)
    return stage.client(*words, name=name, **options)


def say(program: Program, line: str) -> None:
    """Types a command."""
    assert program.process.stdin is not None
    program.process.stdin.write(f"{line}\n".encode())
    program.process.stdin.flush()


def sounds(stage: Stage) -> tuple[tuple[int, int, bytes], tuple[int, int, bytes]]:
    """What anna and bob say: other rates, channels and lengths."""
    anna = speech_wav(stage.folder / "anna.wav", 2)
    bob = speech_wav(stage.folder / "bob.wav", 1.5, rate=44_100, channels=1)
    return (48_000, 2, anna), (44_100, 1, bob)


def hurried_server(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, module: str, name: str, seconds: int
) -> None:
    """Starts a relay that waits no longer for something."""
    hurried = f"from echowarp.session import {module}; {module}.{name} = {seconds} * 10**9"
    run = f"import sys; {hurried}; from echowarp.main import main; sys.exit(main())"
    with monkeypatch.context() as changed:
        changed.setattr(processes, "PROGRAM", (sys.executable, "-c", run))
        stage.server(source="none")


@pytest.mark.parametrize("suite", [(), ("--ssl",)], ids=["plain", "encrypted"])
@pytest.mark.parametrize("code", [None, "four words"], ids=["through the relay", "end to end"])
def test_each_hears_exactly_the_other(
    stage: Stage, suite: tuple[str, ...], code: str | None
) -> None:
    """The caller waits for who is not there yet; the file of each starts when the other
    hears it; when both have ended the call does."""
    anna_says, bob_says = sounds(stage)
    environment = {} if code is None else {"ECHOWARP_E2E": code}
    server = stage.server(*suite, source="none")
    anna = talker(
        *(stage, "anna", "--call", "bob", *PATIENT),
        source="anna.wav",
        sink="anna-hears.wav",
        environment=environment,
    )
    anna.says("bob is not there yet")
    bob = talker(
        *(stage, "Bob", "--auto_answer", *PATIENT),
        source="bob.wav",
        sink="bob-hears.wav",
        environment=environment,
    )
    assert anna.ends() == 0
    bob.says("hung up")
    assert bob.leave() == 0
    assert "anna is calling: answered\n" in bob.said, "and no key is named for it"
    assert read_pcm(stage.folder / "bob-hears.wav") == anna_says
    assert read_pcm(stage.folder / "anna-hears.wav") == bob_says
    assert ("has the same code" in anna.said) == (code is not None)
    assert server.running


def test_two_who_call_each_other_are_connected(stage: Stage) -> None:
    anna_says, bob_says = sounds(stage)
    stage.server(source="none")
    anna = talker(
        *(stage, "anna", "--call", "bob", *PATIENT), source="anna.wav", sink="anna-hears.wav"
    )
    bob = talker(
        *(stage, "bob", "--call", "ANNA", *PATIENT), source="bob.wav", sink="bob-hears.wav"
    )
    assert (anna.ends(), bob.ends()) == (0, 0)
    assert read_pcm(stage.folder / "bob-hears.wav") == anna_says
    assert read_pcm(stage.folder / "anna-hears.wav") == bob_says
    assert "is calling" not in anna.said + bob.said


def test_what_has_come_is_heard_when_the_server_ends_in_the_middle(stage: Stage) -> None:
    """At a server that streams and whose stream ends, with a buffer that is full."""
    server = stage.server("--talkback", "--sink", "null", source="-", stdin=subprocess.PIPE)
    pcm = speech_wav(stage.folder / "bob.wav", 10)
    talker(stage, "bob", "--auto_answer", *PATIENT, source="bob.wav").says("here as bob")
    anna = talker(stage, "anna", "--call", "bob", *PATIENT, source="none", sink="heard.wav")
    # The first is that of the server's own stream.
    has_recorded(stage.folder / "heard-2.wav", 0.5)
    received = anna.stream["received"]
    assert server.process.stdin is not None
    server.process.stdin.close()
    assert (server.ends(), anna.ends()) == (0, 0)
    got = read_pcm(stage.folder / "heard-2.wav")[2]
    # He began before the call: the server heard him.
    assert got in pcm
    blocks = anna.stream["received"]
    assert blocks >= received and len(got) == blocks * 960


class TestHowACallEnds:
    def test_declined(self, stage: Stage) -> None:
        stage.server(source="none")
        bob = talker(stage, "bob", stdin=subprocess.PIPE)
        bob.says("here as bob")
        anna = talker(stage, "anna", "--call", "bob")
        bob.says("anna is calling")
        say(bob, "/decline")
        assert anna.ends() == 3
        assert "bob declined" in anna.said
        bob.says("the call of anna is declined")
        assert bob.running

    def test_busy(self, stage: Stage) -> None:
        stage.server(source="none")
        talker(stage, "bob", "--auto_answer")
        anna = talker(stage, "anna", "--call", "bob")
        anna.says("in a call with bob")
        carl = talker(stage, "carl", "--call", "bob")
        assert carl.ends() == 3
        assert "bob is busy" in carl.said
        assert anna.running

    @pytest.mark.parametrize("who", ["caller", "callee"])
    def test_hung_up_by_either(self, stage: Stage, who: str) -> None:
        stage.server(source="none")
        bob = talker(stage, "bob", "--auto_answer", stdin=subprocess.PIPE)
        anna = talker(stage, "anna", "--call", "bob", stdin=subprocess.PIPE)
        anna.says("in a call with bob")
        bob.says("in a call with anna")
        say(anna if who == "caller" else bob, "/hangup")
        assert anna.ends() == 0
        bob.says("hung up")
        say(bob, "quit")
        assert bob.ends() == 0

    def test_gone_while_it_rings(self, stage: Stage) -> None:
        stage.server(source="none")
        bob = talker(stage, "bob")
        bob.says("here as bob")
        anna = talker(stage, "anna", "--call", "bob")
        bob.says("anna is calling")
        assert bob.leave() == 0
        assert anna.ends() == 3
        assert "bob has left" in anna.said

    def test_not_answered(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        """At a server where it rings for a second."""
        hurried_server(stage, monkeypatch, "calls", "RING_NS", 1)
        bob = talker(stage, "bob")
        bob.says("here as bob")
        anna = talker(stage, "anna", "--call", "bob")
        assert anna.ends() == 3
        assert "bob did not answer" in anna.said
        assert bob.running

    def test_nobody_may_be_waited_for_and_given_up(self, stage: Stage) -> None:
        stage.server(source="none")
        anna = talker(stage, "anna", "--call", "nobody", stdin=subprocess.PIPE)
        anna.says("nobody is not there yet")
        say(anna, "/hangup")
        assert anna.ends() == 0

    def test_oneself(self, stage: Stage) -> None:
        stage.server(source="none")
        anna = talker(stage, "anna", "--call", "Anna")
        assert anna.ends() == 3
        assert "your own name" in anna.said

    def test_lost(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        """The other end is gone without a word, and does not come back in the time it has."""
        hurried_server(stage, monkeypatch, "roster", "KEPT_NS", 3)
        bob = talker(stage, "bob", "--auto_answer")
        anna = talker(stage, "anna", "--call", "bob")
        anna.says("in a call with bob")
        bob.kill()
        anna.says("the connection of bob was lost")
        assert anna.ends(patience_s=25) == 4
        assert "the connection was lost" in anna.said


def test_a_name_that_is_taken(stage: Stage) -> None:
    stage.server(source="none")
    talker(stage, "anna").says("here as anna")
    for name, words in (("ANNA", "called so already"), ("Аnna", "looks the same")):
        other = talker(stage, name)
        assert other.ends() == 3
        assert words in other.said
        assert "2 is free" in other.said


def test_a_server_without_talkers(stage: Stage) -> None:
    stage.server(source="tone")
    anna = talker(stage, "anna", "--call", "bob")
    assert anna.ends() == 3
    assert "takes no talkers" in anna.said


def test_another_code_is_told_and_nothing_is_heard(stage: Stage) -> None:
    stage.server(source="none")
    anna = talker(stage, "anna", "--auto_answer", sink="a.wav", environment={"ECHOWARP_E2E": "x"})
    bob = talker(
        *(stage, "bob", "--call", "anna"),
        sink="b.wav",
        environment={"ECHOWARP_E2E": "y"},
        stdin=subprocess.PIPE,
    )
    anna.says("bob has another code, five times")
    bob.says("anna has another code, five times")
    # It was tried five times, and is told at the first and the last.
    assert bob.said.count("anna has another code") == 2
    say(bob, "/retry")
    bob.says("anna does not compare codes")
    assert bob.leave() == 0
    assert anna.leave() == 0
    assert not (stage.folder / "a.wav").exists()
    assert not (stage.folder / "b.wav").exists()


MEDDLING = {
    "changed": "old(self, seq, time, body[:-1] + bytes((body[-1] ^ 1,)))",
    "another time": "old(self, seq, time + 240, body[:4] + (time + 240).to_bytes(4, 'big')"
    " + body[8:])",
    "played again": "old(self, seq, time, kept.setdefault(0, body)[:0] + body[:8] + kept[0][8:])",
}


@pytest.mark.parametrize("meddling", MEDDLING.values(), ids=list(MEDDLING))
def test_a_relay_that_meddles_is_told_and_not_heard(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, meddling: str
) -> None:
    """What is sealed end to end cannot be changed, moved or said once more."""
    run = f"""
import sys
from echowarp.session.fanout import Fanout
old, kept = Fanout.pass_on, {{}}
Fanout.pass_on = lambda self, seq, time, body, **_: {meddling}
from echowarp.main import main
sys.exit(main())
"""
    with monkeypatch.context() as changed:
        changed.setattr(processes, "PROGRAM", (sys.executable, "-c", run))
        stage.server(source="none")
    code = {"ECHOWARP_E2E": "four words"}
    anna = talker(stage, "anna", "--auto_answer", sink="a.wav", environment=code)
    bob = talker(stage, "bob", "--call", "anna", sink="b.wav", environment=code)
    for each, other in ((anna, "bob"), (bob, "anna")):
        each.says(f"end to end: {other} has the same code")
        each.says(f"what comes from {other} was not sealed so by them")
    assert bob.leave() == 0
    assert anna.leave() == 0
    for name in ("a.wav", "b.wav"):
        path = stage.folder / name
        # Of what is played again the first is as it was said.
        heard = read_pcm(path)[2] if path.exists() else b""
        assert len(heard.replace(bytes(4), b"")) <= 2 * 960 * ("kept" in meddling)


@pytest.mark.parametrize("first", ["anna", "bob"])
def test_who_is_not_end_to_end_is_not_heard(stage: Stage, first: str) -> None:
    """Both are told, whoever came first."""
    stage.server(source="none")
    codes = {"anna": {"ECHOWARP_E2E": "x"}, "bob": {}}
    second = "bob" if first == "anna" else "anna"
    people = {}
    for name, does in ((first, ("--auto_answer",)), (second, ("--call", first))):
        people[name] = talker(stage, name, *does, sink=f"{name}.wav", environment=codes[name])
        people[name].says(f"here as {name}")
    anna, bob = people["anna"], people["bob"]
    anna.says("bob is not encrypted end to end, and so not heard")
    bob.says("anna is end to end encrypted, and so not heard")
    assert bob.leave() == 0
    assert anna.leave() == 0
    assert not (stage.folder / "anna.wav").exists()


def test_a_call_outlives_a_lost_session(stage: Stage) -> None:
    """The connection of one is cut: it comes back, and both hear each other again."""
    stage.server(source="none")
    with Proxy(free_port(), stage.port) as proxy:
        bob = talker(stage, "bob", "--auto_answer", sink="bob-hears.wav")
        bob.says("here as bob")
        anna = talker(stage, "anna", "--call", "bob", sink="anna-hears.wav", port=proxy.port)
        for name in ("bob-hears.wav", "anna-hears.wav"):
            has_recorded(stage.folder / name, 0.5)
        proxy.refuse()
        anna.says("trying again")
        proxy.mend()
        anna.says("back again")
        before = {n: recorded_bytes(stage.folder / n) for n in ("bob-hears.wav", "anna-hears.wav")}
        for name, size in before.items():
            wait_until(
                lambda n=name, s=size: recorded_bytes(stage.folder / n) > s + 100_000,  # type: ignore[misc]
                f"{name} grows again",
            )
        assert "hung up" not in anna.said + bob.said
        assert anna.leave() == 0
        bob.says("hung up")


def test_list_users_and_statistics(stage: Stage) -> None:
    stage.server(source="none")
    bob = talker(stage, "bob", "--auto_answer", "--muted")
    anna = talker(stage, "anna", "--call", "bob")
    anna.says("in a call with bob")
    listing = stage.run(
        "list",
        *("--list_users", "--server_address", "127.0.0.1", "--udp_port", str(stage.port)),
        password=PASSWORD,
        stats=False,
    )
    assert listing.ends() == 0
    lines = listing.out.read_text("utf-8").splitlines()
    assert [line.split(",")[0] for line in lines] == ["anna", "bob"]
    wait_until(
        lambda: [s["talker"] for s in bob.stats[-1]["streams"]] == ["anna", "bob"], "bob hears anna"
    )
    line = bob.stats[-1]
    assert (line["call"], line["room"], line["end_to_end"]) == ("connected", None, None)
    assert [person["name"] for person in line["people"]] == ["anna"]
    bob.signal(signal.SIGTERM)
    assert bob.ends() == 0
    assert anna.ends() == 0
