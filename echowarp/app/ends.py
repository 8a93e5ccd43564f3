"""Makes the source and the sinks that the settings name."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from echowarp.config.kinds import CACHE_PREFIX
from echowarp.config.settings import Settings
from echowarp.device.catalogue import Want
from echowarp.device.default_device import make_watch
from echowarp.device.file_source import PipeSource, ToneSource, WavSource
from echowarp.device.opening import Asked, OwnFormat, SinkOpener, SourceOpener
from echowarp.device.pipe_sink import NullSink, StdoutSink
from echowarp.device.returning import Presence
from echowarp.device.seams import PulledSink, PushedSink, Source
from echowarp.device.standing import StandingSink, StandingSource
from echowarp.device.volume import PulledVolume, PushedVolume
from echowarp.device.wav_writer import WavSink, check_writable, next_name
from echowarp.errors import ConfigError
from echowarp.media.format import MAX_PAYLOAD_BYTES, Format

log = logging.getLogger(__name__)

DEFAULT_RATE = 48_000
DEFAULT_CHANNELS = 2
DEFAULT_TONE_HZ = 440.0


def open_source(settings: Settings, presence: Presence) -> Source | None:
    """The source of a server or a talker, opened; None for `none`. presence: of its device.

    Raises ConfigError for a file, DeviceError for a device.
    """
    source = settings.source
    if source == "none":
        return None
    made = _make_source(settings, source, presence)
    _say_block(made.format, settings.block_ms)
    return made


def _say_block(fmt: Format, asked_ms: float) -> None:
    """Says where the blocks are not as long as was asked for."""
    wanted = int(fmt.rate * asked_ms / 1000)
    if wanted == fmt.block_frames:
        return
    why = "those are whole periods of the device"
    if wanted * fmt.frame_bytes > MAX_PAYLOAD_BYTES:
        why = f"{asked_ms:.1f} ms of {fmt} would not fit a packet"
    log.info("blocks are %d frames (%.1f ms): %s", fmt.block_frames, fmt.block_ns / 1e6, why)


def _make_source(settings: Settings, source: str, presence: Presence) -> Source:
    if source == "device":
        return _card_source(settings, presence)
    if source.startswith(CACHE_PREFIX):
        # Few servers play from there.
        from echowarp.app.cache_folder import cached_path, default_cache_dir

        folder = settings.cache_dir or default_cache_dir()
        return _wav_source(settings, source, cached_path(folder, source[len(CACHE_PREFIX) :]))
    if source.lower().endswith(".wav"):
        return _wav_source(settings, source, source)
    fmt = Format.for_blocks(
        rate=settings.sample_rate or DEFAULT_RATE,
        channels=settings.channels or DEFAULT_CHANNELS,
        block_ms=settings.block_ms,
    )
    if source == "-":
        _check_descriptor(0, "--source -: standard input is closed")
        return PipeSource(sys.stdin.buffer, format=fmt)
    _, _, hz = source.partition(":")
    return ToneSource(float(hz) if hz else DEFAULT_TONE_HZ, format=fmt)


def _wav_source(settings: Settings, name: str, path: str) -> WavSource:
    try:
        wav = WavSource(path, block_ms=settings.block_ms, loop=settings.loop)
    except ConfigError as error:
        raise ConfigError(str(error).replace(path, name)) from error
    if wav.truncated:
        seconds = wav.frames / wav.format.rate
        log.warning("%s is cut short: only its first %.1f s can be sent", name, seconds)
    return wav


def _card_source(settings: Settings, presence: Presence) -> StandingSource:
    asked, loopback = _asked(settings), not settings.is_input_audio_device
    if not settings.is_server:
        # The other options of a device are about the one that plays.
        asked, loopback = replace(asked, device_id=None, name=settings.microphone), False
    opener = SourceOpener(
        asked,
        loopback=loopback,
        rate=settings.sample_rate,
        channels=settings.channels,
        block_ms=settings.block_ms,
    )
    want: Want = "loopback" if loopback else "input"
    return StandingSource(
        opener,
        presence=presence,
        make_watch=partial(
            make_watch, want, is_default=asked.is_default, follows=settings.follow_default
        ),
    )


def _asked(settings: Settings) -> Asked:
    return Asked(
        device_id=settings.device_id,
        name=settings.device,
        charset=settings.device_encoding_names,
        repair=not settings.ignore_device_encoding_names,
    )


def _check_descriptor(number: int, problem: str) -> None:
    try:
        os.fstat(number)
    except OSError:
        raise ConfigError(problem) from None


def check_sink(settings: Settings) -> None:
    """Finds out before any connection whether the sink can be had: ConfigError for a
    file that cannot be written, DeviceError for a device that is not there, or where
    PyAudio is missing."""
    if settings.sink == "device":
        SinkOpener(_asked(settings)).check()
    if settings.sink == "-":
        _check_descriptor(1, "--sink -: standard output is closed")
    if settings.sink.lower().endswith(".wav"):
        check_writable(settings.sink, settings.overwrite)


def open_pushed_sink(
    settings: Settings, fmt: Format, n: int, gain: Callable[[], float], *, is_live: bool = True
) -> PushedSink:
    """The sink for the n-th format that comes, from 1, at the volume that `gain` gives;
    is_live: as of StdoutSink. Raises ConfigError."""
    return PushedVolume(_make_pushed_sink(settings, fmt, n, is_live=is_live), fmt, gain)


def _make_pushed_sink(settings: Settings, fmt: Format, n: int, *, is_live: bool) -> PushedSink:
    if settings.sink == "null":
        return NullSink()
    if settings.sink == "-":
        if n > 1:
            log.warning("the format on standard output is now %s", fmt)
        return StdoutSink(sys.stdout.buffer, frame_bytes=fmt.frame_bytes, is_live=is_live)
    path = settings.sink if n == 1 else next_name(settings.sink, n)
    log.info("recording to %s", path)
    return WavSink(path, fmt, overwrite=settings.overwrite)


class CardSinks:
    """Opens the sound card for each format that comes, at the volume that `gain` gives.

    presence: of the device. A device that was there once is waited for.
    """

    def __init__(self, settings: Settings, gain: Callable[[], float], presence: Presence) -> None:
        self._asked = _asked(settings)
        self._opener = SinkOpener(self._asked)
        self._follows = settings.follow_default
        self._gain = gain
        self._presence = presence
        self._own: OwnFormat | None = None

    def own_format(self) -> OwnFormat | None:
        """The card's own, None where it does not tell. Raises DeviceError."""
        if self._own is None:
            self._own = self._opener.own_format()
        return self._own

    def open(self, fmt: Format) -> PulledSink:
        """The sink. Raises DeviceError."""
        card = StandingSink(
            self._opener,
            fmt,
            presence=self._presence,
            make_watch=partial(
                make_watch, "output", is_default=self._asked.is_default, follows=self._follows
            ),
        )
        return PulledVolume(card, fmt, self._gain)
