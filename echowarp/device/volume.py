"""A sink at a volume: the last step before the sound leaves the program."""

from __future__ import annotations

from collections.abc import Callable

from echowarp.device.seams import PulledSink, PushedSink
from echowarp.media.fader import Fader
from echowarp.media.format import Format


class PulledVolume:
    """A sound card at a volume. Owns the sink.

    gain(): the factor asked for now, from any thread; fmt: of what is pulled.
    """

    def __init__(self, sink: PulledSink, fmt: Format, gain: Callable[[], float]) -> None:
        self._sink = sink
        self._gain = gain
        self._fader = Fader(fmt, gain())

    def start(self, pull: Callable[[int], bytes], failed: Callable[[BaseException], None]) -> None:
        """Begins playback. Raises DeviceError."""
        fader, gain = self._fader, self._gain
        self._sink.start(lambda frames: fader.process(pull(frames), gain()), failed)

    def delay_ns(self) -> int | None:
        """How long from a pull until the sound is heard, or None where unknown."""
        return self._sink.delay_ns()

    def stop(self) -> None:
        """Ends playback and closes the device. Idempotent."""
        self._sink.stop()


class PushedVolume:
    """A file or a pipe at a volume. Owns the sink; arguments as of `PulledVolume`."""

    def __init__(self, sink: PushedSink, fmt: Format, gain: Callable[[], float]) -> None:
        self._sink = sink
        self._gain = gain
        self._fader = Fader(fmt, gain())

    def write(self, pcm: bytes) -> None:
        """Takes whole frames. Raises StorageError (cannot write) or ReaderGone."""
        self._sink.write(self._fader.process(pcm, self._gain()))

    def close(self) -> None:
        """Completes the output. Idempotent. Raises StorageError."""
        self._sink.close()
