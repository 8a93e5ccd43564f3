"""Makes what plays a talker's sound: one stream as it was sent, or a mix of many."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from typing import NamedTuple, TypeAlias

from echowarp.app.ends import open_pushed_sink
from echowarp.app.mixed_playback import MixedPlayback
from echowarp.app.playback import Listener, Playback
from echowarp.app.pulled_playback import PulledPlayback
from echowarp.app.pushed_playback import PushedPlayback
from echowarp.app.talker_mix import MixListener
from echowarp.config.settings import Settings
from echowarp.device.opening import OwnFormat
from echowarp.device.paced_sink import PacedSink
from echowarp.device.seams import PulledSink, PushedSink
from echowarp.media.format import Format
from echowarp.media.target import Policy
from echowarp.wire.feedback import Request

DEFAULT_RATE, DEFAULT_CHANNELS = 48_000, 2
"""Of a mix, where its device does not tell its own."""

Opener: TypeAlias = Callable[[object, int, int, bytes], bytes | None]


class Told(NamedTuple):
    """Whom the ears tell, from any thread: asked with what to ask of a stream, settled
    with one of which every block is settled, opener as of StreamPlayback but for the user."""

    asked: Callable[[object, list[Request]], None]
    settled: Callable[[object], None]
    enough: Callable[[], None]
    failed: Callable[[BaseException], None]
    opener: Callable[[int, int, int, bytes], bytes | None]


class TalkSinks:
    """gain: the volume; card: opens the sound card for a format; own_format: the card's, None
    where it does not tell; opener: opens what is sealed end to end."""

    def __init__(
        self,
        settings: Settings,
        *,
        latency: Policy | int,
        gain: Callable[[], float],
        card: Callable[[Format], PulledSink],
        own_format: Callable[[], OwnFormat | None],
        told: Told,
        opener: Opener,
    ) -> None:
        self._settings = settings
        self._latency = latency
        self._gain = gain
        self._card = card
        self._own_format = own_format
        self._told = told
        self._opener = opener
        self._numbers = count(1)

    def one(self, listener: Listener) -> Playback:
        """Plays the streams of one other, as they are sent."""
        settings = self._settings
        if settings.sink == "device":
            return PulledPlayback(
                self._card,
                latency=self._latency,
                limit_s=settings.duration,
                listener=listener,
                opener=self._opener,
            )
        return PushedPlayback(
            lambda fmt, n: self._file(fmt),
            latency=self._latency,
            limit_s=settings.duration,
            listener=listener,
            opener=self._opener,
        )

    def mixed(self) -> MixedPlayback:
        """Plays many talkers at once; a file at the pace of the monotonic clock."""
        settings, open_sink, clock = self._settings, self._card, time.monotonic_ns
        if settings.sink != "device":
            paced = PacedSink(self._file)
            open_sink, clock = paced.open, paced.now_ns
        told = self._told
        return MixedPlayback(
            open_sink,
            fmt=self._mix_format(),
            latency=self._latency,
            listener=MixListener(
                wanted=told.asked,
                completed=told.settled,
                enough=told.enough,
                failed=told.failed,
            ),
            opener=self._opener,
            limit_s=settings.duration,
            monotonic_ns=clock,
        )

    def _mix_format(self) -> Format:
        """As the user wants it, else the device's own."""
        settings, own = self._settings, None
        rate, channels = settings.sample_rate, settings.channels
        if settings.sink == "device" and (rate is None or channels is None):
            own = self._own_format()
        own_rate, own_channels = own or (DEFAULT_RATE, DEFAULT_CHANNELS)
        return Format.for_blocks(
            rate=rate or own_rate, channels=channels or own_channels, block_ms=settings.block_ms
        )

    def _file(self, fmt: Format) -> PushedSink:
        return open_pushed_sink(self._settings, fmt, next(self._numbers), self._gain)
