"""Streams that a proved but hostile server makes up: nothing of them stops a client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from echowarp.app.playback import Listener, Playback
from echowarp.app.pulled_playback import PulledPlayback
from echowarp.app.pushed_playback import PushedPlayback
from echowarp.crypto.schedule import SessionKeys
from echowarp.crypto.suite import Suite, cipher_for_audio
from echowarp.media.format import Format
from echowarp.media.repair import RepairEncoder
from echowarp.session.datagrams import DatagramSender
from echowarp.session.inbox import Block, ClientInbox, RepairPiece
from echowarp.session.streams import StreamTracker, begin
from echowarp.wire.datagram import DatagramType, pack_block
from echowarp.wire.feedback import Repair, pack_repair
from echowarp.wire.records import Stream

MONO = Format(rate=48_000, channels=1, block_frames=240)
STEREO = Format(rate=48_000, channels=2, block_frames=240)
KEYS = SessionKeys(
    control_client=b"a" * 32,
    control_server=b"b" * 32,
    udp_client=b"c" * 32,
    audio_hmac=b"d" * 32,
    audio_gcm=b"e" * 32,
    session=b"sessions",
)
OLD_SEQ, NEW_SEQ = 9_000_000, 70
ODD = b"\x11" * 478
"""Whole frames of MONO, none of STEREO."""
LATENCY_NS = 4 * STEREO.block_ns


class Card:
    """A sound card that asks when it is told to."""

    pull: Callable[[int], bytes]

    def start(self, pull: Callable[[int], bytes], failed: Callable[[BaseException], None]) -> None:
        self.pull = pull

    def delay_ns(self) -> int | None:
        return None

    def stop(self) -> None:
        pass


class Recorder:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.pcm = bytearray()

    def write(self, pcm: bytes) -> None:
        self.pcm += pcm

    def close(self) -> None:
        pass


class Hostile:
    """A client's way of the sound from the socket on, and what the server does to it."""

    def __init__(self, kind: str) -> None:
        self.now_ns = time.monotonic_ns()
        self.failures: list[BaseException] = []
        self.heard = bytearray()
        """Of the present format."""
        self._card = Card()
        self._recorders: list[Recorder] = []
        self._sender = DatagramSender(
            cipher=cipher_for_audio(Suite.NONE, KEYS), session=KEYS.session
        )
        self._inbox = ClientInbox(keys=KEYS, suite=Suite.NONE)
        self.playback = self._made(kind)

    def _made(self, kind: str) -> Playback:
        def ignore(*_: object) -> None:
            pass

        listener = Listener(
            completed=ignore,
            played_out=ignore,
            wanted=ignore,
            enough=ignore,
            failed=self.failures.append,
        )
        if kind == "pushed":
            return PushedPlayback(
                self._recorder, latency=LATENCY_NS, limit_s=None, listener=listener
            )
        return PulledPlayback(
            lambda _: self._card,
            latency=LATENCY_NS,
            limit_s=None,
            listener=listener,
            monotonic_ns=lambda: self.now_ns,
        )

    def _recorder(self, fmt: Format, number: int) -> Recorder:
        self._recorders.append(Recorder())
        return self._recorders[-1]

    def announce(self, fmt: Format, seq: int) -> StreamTracker:
        """STREAM: the playback is told at once; `let_in` does the rest later."""
        stream = Stream(
            stream=0,
            codec=0,
            rate=fmt.rate,
            channels=fmt.channels,
            block=fmt.block_frames,
            seq=seq,
            time=seq * fmt.block_frames,
            user=0,
        )
        tracker = begin(stream, self.now_ns)
        self.heard.clear()
        self.playback.begin(fmt, continued=False, stream=tracker)
        return tracker

    def let_in(self, tracker: StreamTracker) -> None:
        """The thread that receives has seen the announcement."""
        self._inbox.announce(0, tracker)

    def block(self, seq: int, payload: bytes) -> None:
        self._receive(DatagramType.BLOCK, pack_block(seq, seq * 240, payload))

    def row(self, seq: int, width: int, total: bytes) -> None:
        self._receive(DatagramType.REPAIR, pack_repair(Repair(seq, width, total)))

    def _receive(self, kind: DatagramType, body: bytes) -> None:
        arrival = self._inbox.receive(self._sender.seal(kind, 0, body), self.now_ns)
        if isinstance(arrival, Block):
            self.playback.arrived(arrival, self.now_ns)
        elif isinstance(arrival, RepairPiece):
            self.playback.row(arrival, self.now_ns)

    def play(self, fmt: Format) -> None:
        """A block's time passes; a card asks for its frames."""
        self.now_ns += fmt.block_ns
        if isinstance(self.playback, PulledPlayback):
            self.heard += self._card.pull(fmt.block_frames)

    def close(self) -> bytes:
        """What was heard of the last format, in all."""
        self.playback.close(lambda: False)
        if self._recorders:
            return bytes(self._recorders[-1].pcm)
        return bytes(self.heard)


@pytest.fixture(params=["pulled", "pushed"])
def hostile(request: pytest.FixtureRequest) -> Iterator[Hostile]:
    made = Hostile(request.param)
    yield made
    made.playback.close(lambda: True)


def test_blocks_of_the_old_format_after_the_new_stream_are_too_late(hostile: Hostile) -> None:
    """They are placed by the old announcement, which the receiving thread still has."""
    hostile.let_in(hostile.announce(MONO, OLD_SEQ))
    for k in range(20):
        hostile.block(OLD_SEQ + k, ODD)
        hostile.play(MONO)
    for k in range(20, 23):
        hostile.block(OLD_SEQ + k, ODD)
    tracker = hostile.announce(STEREO, NEW_SEQ)
    for k in range(23, 40):
        hostile.block(OLD_SEQ + k, ODD)
        hostile.row(OLD_SEQ + k, 12, bytes(100))
        hostile.play(STEREO)
    hostile.let_in(tracker)
    loud = b"\x00\x20" * 480
    for k in range(40):
        hostile.block(NEW_SEQ + k, loud)
        hostile.play(STEREO)
    heard = hostile.close()
    assert hostile.failures == []
    assert ODD[:2] not in {heard[at : at + 2] for at in range(0, len(heard), 2)}
    assert heard.count(loud) >= 20


def test_a_row_that_gives_half_a_frame_gives_nothing(hostile: Hostile) -> None:
    """An honest code over a block that never was one."""
    hostile.let_in(hostile.announce(STEREO, NEW_SEQ))
    loud, encoder = b"\x00\x20" * 480, RepairEncoder()
    for k in range(40):
        lost = k % 12 == 9
        encoder.add(NEW_SEQ + k, (NEW_SEQ + k) * 240, loud[: 3 + 2 * k] if lost else loud)
        if not lost:
            hostile.block(NEW_SEQ + k, loud)
        row = encoder.row(12)
        if row is not None and k % 12 == 11:
            hostile.row(row.seq, row.width, row.sum)
        hostile.play(STEREO)
    assert len(hostile.close()) % STEREO.frame_bytes == 0
    assert hostile.failures == []
    assert hostile.playback.snapshot.repaired == 0
