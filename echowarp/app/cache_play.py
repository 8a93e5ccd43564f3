"""Plays a WAV file of a server as it comes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from itertools import count
from typing import BinaryIO, cast

from echowarp.app.cache_link import CacheLink
from echowarp.app.ends import CardSinks, check_sink, open_pushed_sink
from echowarp.app.remote_file import RemoteFile
from echowarp.config.cache_options import CacheSettings
from echowarp.config.settings import Settings
from echowarp.device.returning import Presence
from echowarp.device.seams import PulledSink
from echowarp.device.wav_reader import WavReader
from echowarp.errors import ConfigError, RefusedError
from echowarp.media.format import NS_PER_S, Format
from echowarp.ui.progress import clock
from echowarp.ui.terminal import Terminal

log = logging.getLogger(__name__)

BLOCK_MS = 5.0
AHEAD_S = 2.0
"""What is read before it is played: the network may pause so long."""
BEGIN_S = 0.3
"""What has come when the sound begins."""
UNKNOWN_BYTES = 1 << 62
"""More than any file: the end is where the server says so."""
TAIL_S = 1.0
"""For a device that does not tell how long its own delay is; also the longest that is
waited for the others."""


def play(settings: CacheSettings, link: CacheLink, terminal: Terminal) -> None:
    """Plays until the end. Raises EchoWarpError."""
    assert settings.play is not None
    ends = Settings(
        is_server=False, sink=settings.sink, overwrite=settings.overwrite, source="none"
    )
    check_sink(ends)
    wav = _open(link, settings.play)
    fmt = Format.for_blocks(rate=wav.rate, channels=wav.channels, block_ms=BLOCK_MS)
    first = round(settings.start * wav.rate)
    if first >= wav.frames:
        raise ConfigError(f"--start {settings.start:g}: {settings.play} is not so long")
    wav.rewind(first)
    log.info("playing %s: %s", settings.play, fmt)
    player = _Player(wav, fmt, lambda frames: _show(terminal, wav, first + frames))
    try:
        if settings.sink == "device":
            player.to_card(CardSinks(ends, _full_volume, Presence()).open(fmt))
        else:
            sink = open_pushed_sink(ends, fmt, 1, _full_volume, is_live=False)
            try:
                for pcm in player.blocks():
                    sink.write(pcm)
            finally:
                sink.close()
    finally:
        terminal.clear()


def _full_volume() -> float:
    return 1.0


def _open(link: CacheLink, stream_id: str) -> WavReader:
    entries = link.entries()
    sizes = {entry.id: entry.size for entry in entries or ()}
    if entries is not None and stream_id not in sizes:
        raise RefusedError(f"the server has no {stream_id}: --list shows what it has")
    size = sizes.get(stream_id)
    opened = cast(BinaryIO, RemoteFile(link, stream_id, size))
    return WavReader(stream_id, (opened, UNKNOWN_BYTES if size is None else size))


def _show(terminal: Terminal, wav: WavReader, frames: int) -> None:
    whole = wav.frames / wav.rate
    of = f" of {clock(whole)}" if whole < UNKNOWN_BYTES / wav.rate / 100 else ""
    terminal.show(f"playing  {clock(frames / wav.rate)}{of}")


class _Player:
    """Reads a file to its end. show: told of the frames so far."""

    def __init__(self, wav: WavReader, fmt: Format, show: Callable[[int], None]) -> None:
        self._wav = wav
        self._format = fmt
        self._show = show
        self._changed = threading.Condition()
        self._held = bytearray()
        self._all_read = False
        self._failure: BaseException | None = None
        self._gaps = 0

    def blocks(self) -> Iterator[bytes]:
        """The sound, a tenth of a second at once."""
        at_once = self._format.rate // 10
        for done in count(0, at_once):
            pcm = self._wav.read(at_once)
            if not pcm:
                return
            yield pcm
            self._show(done + len(pcm) // self._format.frame_bytes)

    def to_card(self, sink: PulledSink) -> None:
        """Plays on a device, at its own pace. Raises DeviceError when that dies."""
        second_bytes = self._format.rate * self._format.frame_bytes
        started = False
        try:
            for pcm in self.blocks():
                with self._changed:
                    self._held += pcm
                    if not started and len(self._held) >= BEGIN_S * second_bytes:
                        started = True
                        sink.start(self._pull, self._failed)
                    while started and len(self._held) > AHEAD_S * second_bytes:
                        self._wait()
            if not started:
                sink.start(self._pull, self._failed)
            with self._changed:
                self._all_read = True
                while self._held:
                    self._wait()
            self._let_sound((sink.delay_ns() or int(TAIL_S * NS_PER_S)) / NS_PER_S)
        finally:
            sink.stop()
        if self._gaps:
            log.warning("the network was too slow %d times: there were pauses", self._gaps)

    def _wait(self) -> None:
        self._changed.wait(TAIL_S)
        if self._failure is not None:
            raise self._failure

    def _let_sound(self, seconds: float) -> None:
        """What the device holds is heard out."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure is not None, min(seconds, TAIL_S))

    def _pull(self, frames: int) -> bytes:
        wanted = frames * self._format.frame_bytes
        with self._changed:
            pcm = bytes(self._held[:wanted])
            del self._held[:wanted]
            if len(pcm) < wanted and not self._all_read:
                self._gaps += 1
            self._changed.notify()
        return pcm + bytes(wanted - len(pcm))

    def _failed(self, error: BaseException) -> None:
        with self._changed:
            self._failure = error
            self._changed.notify()
