"""What talkers say, played where the server is: the near end of an intercom."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import count
from queue import SimpleQueue
from typing import NamedTuple

from echowarp.app.ends import CardSinks, check_sink, open_pushed_sink
from echowarp.app.mixed_playback import MixedPlayback
from echowarp.app.reception import ServerClock
from echowarp.app.run_client import latency_of
from echowarp.app.talker_mix import MixListener
from echowarp.app.volume import Volume
from echowarp.config.settings import Settings
from echowarp.device.paced_sink import PacedSink
from echowarp.device.returning import Presence
from echowarp.errors import EchoWarpError
from echowarp.media.format import Format
from echowarp.session.inbox import Block
from echowarp.session.relay_member import FIRST_RTO_NS, Overheard
from echowarp.session.uplink import Found, is_sealed, relayed_format
from echowarp.wire.records import Stream

log = logging.getLogger(__name__)

DEFAULT_RATE, DEFAULT_CHANNELS = 48_000, 2


PLAY_OUT_S = 8.0
"""How long what has been said may take to be played when the server ends: the longest
target, and how far a file may be behind."""
LOOK_UP_S = 0.05
MAX_ENDED = 32
"""As many as a mix plays at once."""


class _Playing(NamedTuple):
    """One stream. key: by which the mix knows it; fmt: None where it is not played;
    first_seq: of the first block that came here, unwrapped."""

    stream: Stream
    key: object
    fmt: Format | None
    first_seq: int


class TalkLoudspeaker:
    """Plays all who are overheard as one mix. Raises EchoWarpError where the sink cannot be
    had at all.

    `play` belongs to the thread that sends, which must not wait; `run` is a thread of its
    own.
    """

    def __init__(self, settings: Settings) -> None:
        # The device that is named is the source's: what is said comes from the default one.
        card_settings = replace(settings, device=None, device_id=None)
        check_sink(card_settings)
        self._queue: SimpleQueue[tuple[Iterable[Overheard], int] | None] = SimpleQueue()
        self._streams: dict[tuple[int, int], _Playing] = {}
        """By connection and stream byte."""
        self._ended: dict[tuple[int, int], tuple[_Playing, int]] = {}
        """Those that ended last, and one past the last block: an end may come before it."""
        self._failed = False
        self._played_out = threading.Event()
        numbers, volume = count(1), Volume(settings.volume)
        open_sink, clock_ns = (
            CardSinks(card_settings, volume.gain, Presence()).open,
            time.monotonic_ns,
        )
        if settings.sink != "device":
            paced = PacedSink(
                lambda fmt: open_pushed_sink(settings, fmt, next(numbers), volume.gain)
            )
            open_sink, clock_ns = paced.open, paced.now_ns
        self._playback = MixedPlayback(
            open_sink,
            fmt=Format.for_blocks(
                rate=settings.sample_rate or DEFAULT_RATE,
                channels=settings.channels or DEFAULT_CHANNELS,
                block_ms=settings.block_ms,
            ),
            latency=latency_of(settings),
            # What is missing is asked for by the relay.
            listener=MixListener(wanted=lambda stream, requests: None, failed=self._fail),
            opener=lambda stream, seq, at, payload: payload,
            monotonic_ns=clock_ns,
        )
        self._playback.clock(ServerClock(srtt_ns=FIRST_RTO_NS, rto_ns=FIRST_RTO_NS, offset_ns=0))

    def play(self, heard: Iterable[Overheard], now_ns: int) -> None:
        """As of Loudspeaker."""
        self._queue.put((heard, now_ns))

    def stop(self, hurried: Callable[[], bool]) -> None:
        """Ends `run`, once all that was said has been played, or `hurried` says that
        nobody wants to wait. Of the main thread."""
        self._queue.put(None)
        until_s = time.monotonic() + PLAY_OUT_S
        while not hurried() and time.monotonic() < until_s:
            if self._played_out.wait(LOOK_UP_S):
                break
        self._queue.put(None)

    def run(self) -> None:
        """Plays until `stop`."""
        try:
            self._take_all()
            self._playback.session_over()
            self._playback.finish(self._played_out.set)
            self._take_all()
        finally:
            self._playback.close(lambda: True)

    def _take_all(self) -> None:
        """Takes what is handed over, up to a None."""
        while (item := self._queue.get()) is not None:
            heard, now_ns = item
            for each in heard:
                self._take(each, now_ns)

    def _take(self, each: Overheard, now_ns: int) -> None:
        stream, found, place = each.stream, each.what, (each.connection, each.stream.stream)
        known = self._streams.get(place)
        if isinstance(found, int):
            if known is not None and known.stream is stream:
                del self._streams[place]
                self._ended.pop(place, None)
                self._ended[place] = known, found
                if len(self._ended) > MAX_ENDED:
                    del self._ended[next(iter(self._ended))]
                self._playback.end(known.key, found)
            return
        ended, end_seq = self._ended.get(place, (None, 0))
        if ended is not None and ended.stream is stream and found.seq < end_seq:
            known = ended
        elif known is None or known.stream is not stream:
            known = self._streams[place] = self._begin(stream, found.seq)
        fmt, first_seq = known.fmt, known.first_seq
        if fmt is not None and _fits(found, fmt) and found.seq >= first_seq:
            block = Block(
                known.key, found.seq, found.time, found.payload, first_seq, found.recovered
            )
            self._playback.arrived(block, now_ns)

    def _begin(self, stream: Stream, first_seq: int) -> _Playing:
        silent = _Playing(stream, None, None, first_seq)
        if self._failed or is_sealed(stream):
            return silent
        told, key = relayed_format(stream), object()
        fmt = Format(rate=told.rate, channels=told.channels, block_frames=told.block_frames)
        try:
            self._playback.hear(key, stream.user, fmt, continued=False)
        except EchoWarpError as error:
            self._fail(error)
            return silent
        return _Playing(stream, key, fmt, first_seq)

    def _fail(self, error: BaseException) -> None:
        """The stream goes on without it."""
        if not self._failed:
            self._failed = True
            log.error("what talkers say is not played here any more: %s", error)


def _fits(found: Found, fmt: Format) -> bool:
    """Whether a payload is sound of that format: the relay itself looks at none."""
    size = len(found.payload)
    return size % fmt.frame_bytes == 0 and size <= fmt.block_frames * fmt.frame_bytes
