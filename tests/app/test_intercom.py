"""A server that streams and lets people talk back to it, as a real process."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from echowarp.wire.people import CallNews, RoomNews
from echowarp.wire.people_codes import CallState, RoomState, Wish
from echowarp.wire.records import End, EndReason, Stream
from tests import processes
from tests.app.sounds import recorded_bytes
from tests.demo.wav import WavReader
from tests.processes import Stage, wait_until
from tests.talkers import FIRST_SEQ, Heard, Talker, blocks

FRAMES, BLOCK_S = 240, 0.005
SOUND = [(n + 1).to_bytes(2, "little") * 2 * FRAMES for n in range(400)]
"""Blocks that differ and are no silence."""


def come(port: int, *names: str) -> list[Talker]:
    return [Talker(port).welcomed(name) for name in names]


def leave(talkers: Iterable[Talker]) -> None:
    for each in talkers:
        each.session.close(time.monotonic_ns())
        with contextlib.suppress(OSError):
            each.tell()
        each.close()


def speak(talker: Talker, sound: list[bytes], *listeners: Talker) -> None:
    """Says that in its own time, while the others listen."""
    begun_s = time.monotonic()
    for n, block in enumerate(sound):
        talker.say(n, block)
        for each in listeners:
            each.listen()
        time.sleep(max(0, begun_s + (n + 1) * BLOCK_S - time.monotonic()))


def recorded(path: Path) -> bytes:
    """What the server has played."""
    with WavReader(path) as reader:
        assert (reader.rate, reader.channels) == (48_000, 2)
        return b"".join(iter(lambda: reader.read(48_000), b""))


def test_what_is_said_is_played_at_the_server_and_nothing_is_changed(stage: Stage) -> None:
    patient = ("--latency", "800")
    server = stage.server("--talkback", "--sink", "said.wav", "--ssl", *patient, source="tone")
    (ann,) = come(stage.port, "Ann")
    ann.talk()
    speak(ann, SOUND[:200])
    time.sleep(1.3)
    leave([ann])
    assert server.leave() == 0
    played = recorded(stage.folder / "said.wav")
    # What comes before the first pull has settled may be cut, and the end is faded.
    assert b"".join(SOUND[30:190]) in played


def test_an_end_that_overtakes_the_last_block_cuts_nothing(stage: Stage) -> None:
    server = stage.server("--talkback", "--sink", "said.wav", "--latency", "800", source="tone")
    (ann,) = come(stage.port, "Ann")
    ann.talk()
    speak(ann, SOUND[:99])
    assert ann.byte is not None
    ann.tell(End(stream=ann.byte, seq=(FIRST_SEQ + 100) % 2**32, reason=EndReason.SOURCE_ENDED))
    ann.settle()
    ann.say(99, SOUND[99])
    path = stage.folder / "said.wav"
    wait_until(lambda: path.exists() and recorded_bytes(path) > 1.5 * 192_000, "it is played")
    leave([ann])
    assert server.leave() == 0
    assert b"".join(SOUND[30:100]) in recorded(path)


def server_blocks(heard: Iterable[Heard]) -> int:
    """How many blocks of the server's own stream are among them."""
    return sum(each.stream == 0 and each.kind == 1 for each in heard)


def test_with_a_room_the_other_listeners_hear_it_too(stage: Stage) -> None:
    stage.server("--talkback", "--room", "Studio", "--sink", "null", source="tone")
    ann, bob = come(stage.port, "Ann", "Bob")
    for each in (ann, bob):
        assert RoomNews(state=RoomState.JOINED, name="Studio") in each.records
    plain = Talker(stage.port)
    ann.talk()
    speak(ann, SOUND[:100], bob, plain)
    heard = list(bob.come(quiet_s=0.001))
    assert list(blocks(heard).values()) == [dict(enumerate(SOUND[:100]))]
    assert server_blocks(heard) >= 90, "and the stream goes on"
    bob.settle()
    told = {record.user for record in bob.records if isinstance(record, Stream)}
    assert told == {0, ann.user}
    heard = list(plain.come(quiet_s=0.001))
    assert blocks(heard) == {}, "who has no name only listens"
    assert server_blocks(heard) >= 90
    leave([ann, bob, plain])


def test_ten_times_the_rate_harms_no_listener(stage: Stage) -> None:
    stage.server("--talkback", "--room", "Studio", "--sink", "null", source="tone")
    ann, bob = come(stage.port, "Ann", "Bob")
    plain = Talker(stage.port)
    ann.talk()
    begun_s = time.monotonic()
    for n in range(2000):
        ann.say(n, SOUND[n % 400])
        if n % 10 == 9:
            bob.listen()
            plain.listen()
            time.sleep(BLOCK_S)
    took_s = time.monotonic() - begun_s
    heard = list(plain.come(quiet_s=0.001))
    assert server_blocks(heard) >= 0.9 * took_s / BLOCK_S
    passed = sum(map(len, blocks(bob.come(quiet_s=0.001)).values()))
    assert passed <= (took_s + 1.5) * 1.5 / BLOCK_S, "more than half again of what it needs"
    leave([ann, bob, plain])


def test_without_a_room_only_the_server_hears_it(stage: Stage) -> None:
    stage.server("--talkback", "--sink", "null", source="tone")
    ann, bob = come(stage.port, "Ann", "Bob")
    ann.talk()
    speak(ann, SOUND[:50], bob)
    assert blocks(bob.come(quiet_s=0.001)) == {}
    leave([ann, bob])


def test_a_call_between_two_is_not_played_to_all(stage: Stage) -> None:
    server = stage.server("--talkback", "--sink", "said.wav", source="tone")
    ann, bob = Talker(stage.port), Talker(stage.port)
    ann.enter("Ann", Wish.CALL, "Bob")
    bob.enter("Bob", Wish.CALL, "Ann")
    for each in (ann, bob):
        while each.next(CallNews).state is not CallState.CONNECTED:
            pass
    ann.talk()
    speak(ann, SOUND[:50], bob)
    assert list(blocks(bob.come(quiet_s=0.001)).values()) == [dict(enumerate(SOUND[:50]))]
    leave([ann, bob])
    assert server.leave() == 0
    assert not (stage.folder / "said.wav").exists()


@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_talkers_of_any_format_and_without_sense_are_borne(stage: Stage, rate: int) -> None:
    server = stage.server("--talkback", "--sink", "said.wav", source="tone")
    (ann, bob) = come(stage.port, "Ann", "Bob")
    ann.talk(rate=rate, channels=1, block=rate // 200)
    bob.talk()
    size = rate // 200 * 2
    begun_s = time.monotonic()
    for n in range(100):
        ann.say(n, (b"\x00\x10" * size)[:size] if n % 10 else b"odd")
        bob.say(n, bytes(4) if n % 2 else bytes(1_100))
        time.sleep(max(0, begun_s + (n + 1) * BLOCK_S - time.monotonic()))
    leave([ann, bob])
    assert server.leave() == 0
    assert any(recorded(stage.folder / "said.wav"))


def test_a_sink_that_cannot_be_had_is_told_at_the_start(stage: Stage) -> None:
    (stage.folder / "there.wav").write_bytes(b"mine")
    server = stage.server("--talkback", "--sink", "there.wav", source="tone", ready=False)
    assert server.ends() == 2
    assert "there.wav" in server.said
    assert (stage.folder / "there.wav").read_bytes() == b"mine"


def test_the_source_ends_and_everybody_is_told(stage: Stage) -> None:
    server = stage.server("--talkback", "--sink", "null", "--duration", "0.5", source="tone")
    (ann,) = come(stage.port, "Ann")
    ann.talk()
    with contextlib.suppress(Exception):
        ann.until(lambda: False)
    assert ann.ended is not None
    assert ann.ended.code == 200
    assert server.ends() == 0
    ann.close()


TAKES_NO_STREAM = """
import sys
from echowarp.main import main
from echowarp.session import uplink

uplink.MIN_BLOCK_NS = uplink.MIN_BLOCK_BYTES = 10**9
sys.exit(main())
"""


def test_one_whose_stream_is_refused_still_listens(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal is not the end of the server's own stream."""
    with monkeypatch.context() as changed:
        changed.setattr(processes, "PROGRAM", (sys.executable, "-c", TAKES_NO_STREAM))
        stage.server("--talkback", "--sink", "null", source="tone")
    words = ("--nickname", "ann", "--source", "tone")
    client = stage.client(*words)
    client.says("the server does not take our stream now")
    begun = len(client.stats)
    wait_until(lambda: len(client.stats) > begun + 1, "it goes on")
    assert client.leave() == 0
    assert "trying again" not in client.said
