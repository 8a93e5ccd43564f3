"""A talker's own stream, by hand: what a source gives, and what is sent of it."""

from __future__ import annotations

import logging
import math
import struct
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from echowarp.app.datagram_link import DatagramLink
from echowarp.app.voice import REFUSED_NS, State, Voice
from echowarp.device.seams import Capture
from echowarp.media.agc import AutomaticGain
from echowarp.media.format import NS_PER_S, Format
from echowarp.media.gate import NoiseGate
from echowarp.session.fanout import Outgoing
from echowarp.session.speech import Mode, Speech
from echowarp.wire.records import End, Stream

FMT = Format(rate=48_000, channels=1, block_frames=240)
BLOCK_NS = 5_000_000


class Microphone:
    """A source that gives what the test says."""

    format = FMT
    waits_for_listener = False

    def __init__(self) -> None:
        self.started = self.stopped = False
        self.give: Callable[[Capture], None] = lambda capture: None

    def start(self, give: Callable[[Capture], None], ended: Callable[..., None]) -> None:
        self.started, self.give = True, give

    def stop(self) -> None:
        self.stopped = True


class Link:
    """A way to the server that keeps the payloads."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.clock = SimpleNamespace(offset_ns=None)
        self.uplink = cast(Any, SimpleNamespace(legs={}))

    def send(self, outgoing: Iterable[Outgoing[str]]) -> int:
        return sum(1 for _ in outgoing)


def block(level: float, n: int = 0) -> bytes:
    """A piece of a tone of that level (RMS)."""
    at = range(n * 240, n * 240 + 240)
    return struct.pack("<240h", *(round(32767 * level * 2**0.5 * math.sin(0.06 * k)) for k in at))


class Fanout:
    """In place of the one that seals: keeps what is sent."""

    blocks_resent = rows_sent = 0

    def __init__(self) -> None:
        self.sent: list[tuple[int, int, bytes]] = []

    def add(self, *arguments: object) -> None:
        """A leg, which nothing goes by."""

    def send(self, seq: int, time: int, payload: bytes) -> list[Outgoing[str]]:
        self.sent.append((seq, time, payload))
        return []


class Desk:
    """A voice whose stream runs, and what it sends."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        mode: Mode = Mode.OPEN,
        *,
        agc: bool = False,
        gate: bool = False,
    ) -> None:
        self.fanout = Fanout()
        monkeypatch.setattr(Voice, "_make_fanout", lambda voice: self.fanout)
        self.microphone = Microphone()
        self.speech = Speech(mode)
        self.voice = Voice(
            cast(Any, self.microphone),
            gain=AutomaticGain(FMT, on=agc),
            gate=NoiseGate(FMT, on=gate),
            speech=self.speech,
            wake=lambda: None,
            failed=self._failed,
        )
        self.now_ns = 0
        self.frame = 0
        self.link = Link()
        self.voice.attach(cast(DatagramLink, self.link))

    def _failed(self, error: BaseException) -> None:
        raise error

    def run(self) -> None:
        """Somebody is to hear us, and the server gives the stream its byte."""
        self.voice.begin(None)
        (asked,) = self.voice.to_send()
        assert isinstance(asked, Stream)
        self.voice.announced(asked, self.now_ns)
        assert self.voice.state is State.RUNNING

    def hears(self, *blocks: bytes) -> list[bytes]:
        """What is sent of these blocks, one every 5 ms."""
        before = len(self.fanout.sent)
        for pcm in blocks:
            self.microphone.give(Capture(pcm=pcm, captured_ns=self.now_ns, lost_frames=0))
            self.voice.act(self.now_ns)
            self.now_ns += BLOCK_NS
        return [payload for _, _, payload in self.fanout.sent[before:]]


def test_with_everything_off_no_sample_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch)
    desk.run()
    blocks = [block(0.3, n) for n in range(50)] + [block(0.0001, n) for n in range(50)]
    assert desk.hears(*blocks) == blocks
    numbers = [(seq, time) for seq, time, _ in desk.fanout.sent]
    seq, time = numbers[0]
    assert numbers == [(seq + n, time + 240 * n) for n in range(100)]


def test_silence_is_said_at_once_then_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch)
    desk.run()
    loud = block(0.3)
    assert desk.hears(loud) == [loud]
    desk.speech.muted = True
    assert desk.hears(*[loud] * 400) == [b"", b""]
    desk.speech.muted = False
    assert desk.hears(loud) == [loud]
    (_, before, _), (_, after, _) = desk.fanout.sent[0], desk.fanout.sent[-1]
    assert after - before == 401 * 240, "the time of silence counts"


def test_a_stream_that_nobody_hears_any_more_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch)
    desk.run()
    desk.hears(block(0.3))
    desk.voice.end()
    (end,) = desk.voice.to_send()
    assert isinstance(end, End)
    assert desk.hears(block(0.3)) == []
    assert desk.voice.state is State.QUIET


def test_a_stream_that_is_not_taken_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch)
    desk.voice.begin(None)
    (asked,) = desk.voice.to_send()
    assert isinstance(asked, Stream)
    assert not desk.voice.refused(asked.seq + 1, desk.now_ns), "that is another's end"
    assert desk.voice.refused(asked.seq, desk.now_ns)
    assert desk.voice.state is State.REFUSED
    due_ns = desk.voice.timeout_ns()
    assert due_ns == desk.now_ns + REFUSED_NS
    desk.voice.act(due_ns - 1)
    desk.voice.begin(None)
    assert desk.voice.to_send() == []
    desk.voice.act(due_ns)
    assert desk.voice.timeout_ns() is None
    desk.run()
    assert desk.hears(block(0.3)) == [block(0.3)]


def test_a_refusal_that_comes_when_nobody_wants_the_stream_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk(monkeypatch)
    desk.voice.begin(None)
    (asked,) = desk.voice.to_send()
    assert isinstance(asked, Stream)
    desk.voice.end()
    assert desk.voice.refused(asked.seq, desk.now_ns)
    assert desk.voice.state is State.QUIET
    desk.run()
    assert desk.hears(block(0.3)) == [block(0.3)]


@pytest.mark.parametrize("mode", [Mode.OPEN, Mode.VOICE])
def test_a_silent_microphone_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, mode: Mode
) -> None:
    caplog.set_level(logging.WARNING, "echowarp")
    monkeypatch.setattr(logging.getLogger("echowarp"), "propagate", True)
    desk = Desk(monkeypatch, mode)
    desk.run()
    half_a_minute = 30 * NS_PER_S // BLOCK_NS
    desk.hears(*[block(0.009)] * (half_a_minute - 1))
    assert not caplog.records
    desk.hears(*[block(0.009)] * half_a_minute)
    assert ["silent for 30 s" in record.message for record in caplog.records] == [True]
    desk.hears(block(0.02), *[block(0.009)] * (half_a_minute + 1))
    assert len(caplog.records) == 2


def test_a_microphone_that_is_not_open_is_no_silent_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(monkeypatch, Mode.PUSH)
    desk.run()
    desk.hears(*[block(0.001)] * (60 * NS_PER_S // BLOCK_NS))
    assert not caplog.records


def test_gate_and_gain_come_before_the_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is gated does not open voice activation."""
    desk = Desk(monkeypatch, Mode.VOICE, gate=True)
    desk.run()
    assert desk.hears(*[block(0.0005)] * 100) == [b""]
    desk = Desk(monkeypatch, agc=True)
    desk.run()
    sent = desk.hears(*(block(0.03, n) for n in range(1000)))
    assert max(map(abs, struct.unpack("<240h", sent[-1]))) > 2 * max(
        map(abs, struct.unpack("<240h", block(0.03)))
    )
