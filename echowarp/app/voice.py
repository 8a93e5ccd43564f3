"""A client's own stream: from its microphone, or another source, to the server.

The control thread owns it, with the stream's position and the session's key. The source's
own thread only posts.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from queue import SimpleQueue
from typing import NamedTuple

from echowarp.app.datagram_link import DatagramLink
from echowarp.crypto.e2e import PayloadSealer
from echowarp.device.seams import Capture, Source
from echowarp.media.agc import AutomaticGain
from echowarp.media.format import NS_PER_S
from echowarp.media.gate import NoiseGate
from echowarp.media.pcm import SILENCE_DB, level_db
from echowarp.media.repair import RepairEncoder
from echowarp.session.fanout import Fanout
from echowarp.session.speech import Send, Speech
from echowarp.session.uplink import SEALED_CODEC_BIT
from echowarp.wire.records import Anchor, End, EndReason, Record, Stream
from echowarp.wire.serial import wrap

log = logging.getLogger(__name__)

COUNTER_BYTES = 4
"""The stream's first sequence number and time are random 32-bit numbers."""
MAX_BACKLOG_NS = NS_PER_S // 5
"""Live sound that has waited longer than this is thrown away: it would be delay for ever."""
ANCHOR_EVERY_NS = NS_PER_S
REFUSED_NS = 5 * NS_PER_S
"""A server that takes no stream of ours is asked again after so long."""


class State(Enum):
    """Where our stream is."""

    QUIET = auto()
    """Nobody is to hear us."""
    ASKED = auto()
    """The server is to say which byte it has."""
    RUNNING = auto()
    REFUSED = auto()
    """The server takes no stream of ours, for now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceReport:
    """What others may know of it; replaced whole."""

    level_db: float = SILENCE_DB
    sending: bool = False
    blocks: int = 0
    resent: int = 0
    rows: int = 0
    sent_bytes: int = 0


class _SourceEnded(NamedTuple):
    error: BaseException | None


class Voice:
    """Our own stream. source: what is said; gain, gate: what it passes first, both may be
    off; speech: whether a block is sent; wake: makes the control thread call `act`; failed:
    told when the source fails, on any thread."""

    def __init__(
        self,
        source: Source,
        *,
        gain: AutomaticGain,
        gate: NoiseGate,
        speech: Speech,
        wake: Callable[[], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self.format = source.format
        self.speech = speech
        self.state = State.QUIET
        self.has_ended = False
        """The source has no more sound."""
        self.report = VoiceReport()
        self._source = source
        self._gain, self._gate = gain, gate
        self._wake, self._failed = wake, failed
        self._queue: SimpleQueue[Capture | _SourceEnded] = SimpleQueue()
        self._started = False
        self._seq = int.from_bytes(os.urandom(COUNTER_BYTES), "big")
        self._time = int.from_bytes(os.urandom(COUNTER_BYTES), "big")
        self._asked: list[int] = []
        """First sequence numbers of streams that the server has not answered yet: the last of
        them counts."""
        self._sealer: PayloadSealer | None = None
        self._fanout = self._make_fanout()
        self._link: DatagramLink | None = None
        self._byte: int | None = None
        self._refused_until_ns = 0
        self._dropped_frames = 0
        self._anchor_due_ns = 0
        self._level_db = SILENCE_DB
        self._blocks = self._sent_bytes = 0
        self._out: list[Record] = []

    def _make_fanout(self) -> Fanout[str]:
        return Fanout(block_ns=self.format.block_ns, rows=RepairEncoder())

    def attach(self, link: DatagramLink) -> None:
        """A session began."""
        self.detach()
        self._link = link

    def detach(self) -> None:
        """The session is over; sound goes on and is lost meanwhile."""
        self._link = self._byte = None
        self._asked.clear()
        self._out.clear()
        self.state = State.QUIET
        self._fanout = self._make_fanout()

    def begin(self, sealer: PayloadSealer | None) -> None:
        """Somebody is to hear us. sealer: seals it end to end, if it is to be."""
        if self.state is not State.QUIET or self.has_ended or self._link is None:
            return
        self.state = State.ASKED
        self._sealer = sealer
        # No block of the last stream may be sent again in this one: it has another key.
        self._fanout = self._make_fanout()
        self._asked.append(wrap(self._seq))
        fmt = self.format
        self._out.append(
            Stream(
                stream=0,
                codec=0 if sealer is None else SEALED_CODEC_BIT,
                rate=fmt.rate,
                channels=fmt.channels,
                block=fmt.block_frames,
                seq=wrap(self._seq),
                time=wrap(self._time),
                user=0,
            )
        )

    def announced(self, stream: Stream, now_ns: int) -> None:
        """The server has given our stream its byte."""
        if not self._is_answered(stream.seq) or self._asked or self._link is None:
            return  # another has replaced it there
        if self.state is not State.ASKED:
            # Nobody is to hear it any more.
            self._out.append(End(stream=stream.stream, seq=stream.seq, reason=EndReason.STOPPED))
            return
        self.state, self._byte = State.RUNNING, stream.stream
        self._link.uplink.legs.pop(stream.stream, None)
        self._fanout.add(self._link.uplink, stream.stream, now_ns)
        if not self._started:
            self._started = True
            self._source.start(self._post, lambda error: self._post(_SourceEnded(error)))

    def refused(self, seq: int, now_ns: int) -> bool:
        """An END of no stream that runs: whether the server takes, by that, no stream of ours
        that would begin so. One that was given too many of late may take another later."""
        if not self._is_answered(seq):
            return False
        if not self._asked and self.state is State.ASKED:
            self.state, self._refused_until_ns = State.REFUSED, now_ns + REFUSED_NS
        return True

    def _is_answered(self, seq: int) -> bool:
        """Whether that was asked for; now it has its answer."""
        if seq not in self._asked:
            return False
        self._asked.remove(seq)
        return True

    def timeout_ns(self) -> int | None:
        """When `act` has something to do by itself, or None."""
        return self._refused_until_ns if self.state is State.REFUSED else None

    def end(self, reason: EndReason = EndReason.STOPPED) -> None:
        """Nobody is to hear us any more."""
        if self.state is State.RUNNING:
            assert self._byte is not None
            self._out.append(End(stream=self._byte, seq=wrap(self._seq), reason=reason))
        if self.state is not State.REFUSED:
            self.state, self._byte = State.QUIET, None

    def _post(self, message: Capture | _SourceEnded) -> None:
        self._queue.put(message)
        self._wake()

    def act(self, now_ns: int) -> None:
        """Sends what the source has given. Raises NumbersSpent, and what ended the source."""
        while not self._queue.empty():
            message = self._queue.get()
            if isinstance(message, Capture):
                self._on_capture(message, now_ns)
            elif message.error is not None:
                self._failed(message.error)
            else:
                self.has_ended = True
                self._level_db = SILENCE_DB
                self.end(EndReason.SOURCE_ENDED)
        if self.state is State.REFUSED and now_ns >= self._refused_until_ns:
            self.state = State.QUIET
        speech, fanout = self.speech, self._fanout
        self.report = VoiceReport(
            level_db=self._level_db,
            sending=self.state is State.RUNNING and speech.sending,
            blocks=self._blocks,
            resent=fanout.blocks_resent,
            rows=fanout.rows_sent,
            sent_bytes=self._sent_bytes,
        )

    def stop(self) -> None:
        """Closes the source. From any thread, when `act` is called no more."""
        self._source.stop()

    def to_send(self) -> list[Record]:
        """Drains the records for the server."""
        out, self._out = self._out, []
        return out

    def _on_capture(self, capture: Capture, now_ns: int) -> None:
        frames = len(capture.pcm) // self.format.frame_bytes
        live = not self._source.waits_for_listener
        if live and now_ns - capture.captured_ns > MAX_BACKLOG_NS:
            self._dropped_frames += capture.lost_frames + frames
            return
        self._time += capture.lost_frames + self._dropped_frames
        self._dropped_frames = 0
        pcm = self._gain.process(self._gate.process(capture.pcm))
        self._level_db = level_db(pcm)
        # By the sound's own time: a thread that is late must not change what is sent.
        what = self.speech.block(10 ** (self._level_db / 20), capture.captured_ns)
        if self.speech.take_warning():
            log.warning("the microphone has been silent for 30 s: is it the right one, is it on?")
        if self.state is State.RUNNING and what is not Send.NOTHING:
            self._anchor(capture)
            self._send(pcm if what is Send.SOUND else b"")
        elif self.state is not State.RUNNING:
            self._seq += 1
        self._time += frames

    def _send(self, pcm: bytes) -> None:
        assert self._link is not None
        seq, at, sealer = self._seq, self._time, self._sealer
        self._seq += 1
        payload = pcm if sealer is None else sealer.seal(seq, at, pcm)
        self._sent_bytes += self._link.send(self._fanout.send(seq, at, payload))
        self._blocks += 1

    def _anchor(self, capture: Capture) -> None:
        offset_ns = None if self._link is None else self._link.clock.offset_ns
        if capture.captured_ns >= self._anchor_due_ns and offset_ns is not None:
            self._anchor_due_ns = capture.captured_ns + ANCHOR_EVERY_NS
            assert self._byte is not None
            captured_ns = max(0, capture.captured_ns + offset_ns)
            self._out.append(Anchor(stream=self._byte, time=wrap(self._time), captured=captured_ns))
