"""Sound cards through PortAudio, in callback mode: a source and a sink.

PortAudio calls back on a thread of its own. There, bytes are moved and errors caught;
whatever goes wrong is told to the owner by the stream's watchdog.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from echowarp.device.backlog import Backlog, Pace
from echowarp.device.catalogue import DeviceInfo, format_table, list_devices
from echowarp.device.negotiate import open_input, open_output
from echowarp.device.portaudio import (
    PA_ABORT,
    PA_CONTINUE,
    PA_INPUT_OVERFLOW,
    open_portaudio,
    terminate,
)
from echowarp.device.seams import Capture
from echowarp.device.stream import RunningStream
from echowarp.media.format import NS_PER_S, SAMPLE_BYTES, Format
from echowarp.media.pull_converter import PullConverter

_log = logging.getLogger(__name__)

_MOST_CAPTURE_BLOCKS = 4
"""PortAudio's age of a block is believed from one block to this many: behind a sound
server it says 0.1 to 500 ms of blocks that are 5 ms old."""

_SENSIBLE_DELAY_S = 1.0
"""An output delay from 0 to this is believed: JACK's is nonsense at times."""


class CardSource:
    """Captures from a device.

    pa: an initialised PyAudio object, owned and terminated from now on; info: the
    device; rate, channels: insisted on where not None; block_ms: length of a block.
    Raises DeviceError; `pa` is terminated then too.
    """

    waits_for_listener = False

    def __init__(
        self,
        pa: Any,
        info: DeviceInfo,
        *,
        rate: int | None,
        channels: int | None,
        block_ms: float,
    ) -> None:
        try:
            stream, self._format = open_input(
                pa, info, self._called, rate=rate, channels=channels, block_ms=block_ms
            )
        except BaseException:
            terminate(pa)
            raise
        # Only while something plays does WASAPI hand out what an output plays.
        may_pause = info.is_loopback and "WASAPI" in info.host_api
        self._stream = RunningStream(pa, stream, name=str(info), may_pause=may_pause)
        self._backlog = Backlog(self._format.rate)
        self._deliver: Callable[[Capture], None] | None = None

    @property
    def format(self) -> Format:
        """The format of the blocks."""
        return self._format

    def start(
        self,
        deliver: Callable[[Capture], None],
        ended: Callable[[BaseException | None], None],
    ) -> None:
        """Begins delivery once the device has emptied what it had. Raises DeviceError."""
        self._deliver = deliver
        self._stream.start(ended)

    def stop(self) -> None:
        """Ends delivery and closes the device. Idempotent."""
        self._stream.stop()

    def _called(
        self, data: bytes | None, frames: int, times: Any, status: int
    ) -> tuple[bytes | None, int]:
        try:
            now_ns = time.monotonic_ns()
            self._stream.called(now_ns)
            if data is None or self._deliver is None or self._stream.is_stopping:
                return None, PA_CONTINUE
            lost = self._backlog.judge(frames, now_ns, bool(status & PA_INPUT_OVERFLOW))
            if lost is not None:
                captured_ns = now_ns - self._age_ns(times)
                self._deliver(Capture(data, captured_ns, lost))
        except BaseException as error:  # PortAudio's thread: nothing may leave it
            self._stream.fail(error)
            return None, PA_ABORT
        return None, PA_CONTINUE

    def _age_ns(self, times: Any) -> int:
        """How long ago the block's first frame reached the device."""
        block_ns = self._format.block_ns
        said_s: float = times["current_time"] - times["input_buffer_adc_time"]
        said_ns = round(said_s * NS_PER_S)
        if block_ns <= said_ns <= _MOST_CAPTURE_BLOCKS * block_ns:
            return said_ns
        return block_ns


class CardSink:
    """Plays a stream on a device, converted where the device refuses its format.

    pa: an initialised PyAudio object, owned and terminated from now on; info: the
    device; others: the same one as other host APIs show it. Raises DeviceError; `pa` is
    terminated then too.
    """

    def __init__(
        self, pa: Any, info: DeviceInfo, format: Format, others: Sequence[DeviceInfo] = ()
    ) -> None:
        try:
            stream, used, shape = open_output(pa, [info, *others], format, self._called)
        except BaseException:
            terminate(pa)
            raise
        self._stream = RunningStream(pa, stream, name=str(used), may_pause=False)
        self._format = format
        self._converter: PullConverter | None = None
        if (shape.rate, shape.channels) != (format.rate, format.channels):
            self._converter = PullConverter(format, shape.rate, shape.channels)
            heard = f"{shape.rate} Hz, {shape.channels} channels"
            _log.info("device %s does not take %s: converted to %s", info, format, heard)
        elif used is not info:
            _log.info("device %s does not take %s: played through %s", info, format, used)
        self._frame_bytes = SAMPLE_BYTES * shape.channels
        self._pace = Pace(shape.rate)
        self._pull: Callable[[int], bytes] | None = None
        self._delay_ns = _sensible_ns(self._stream.output_latency_s())

    def start(self, pull: Callable[[int], bytes], failed: Callable[[BaseException], None]) -> None:
        """Begins playback: silence until the device calls evenly, then what `pull`
        returns. Raises DeviceError."""
        self._pull = pull
        self._stream.start(failed)

    def delay_ns(self) -> int | None:
        """How long from a pull until the sound is heard, or None where unknown."""
        if self._delay_ns is None or self._converter is None:
            return self._delay_ns
        return self._delay_ns + self._converter.delay_ns

    def stop(self) -> None:
        """Ends playback and closes the device. Idempotent."""
        self._stream.stop()

    def _called(
        self, data: bytes | None, frames: int, times: Any, status: int
    ) -> tuple[bytes | None, int]:
        silence = bytes(frames * self._frame_bytes)
        try:
            now_ns = time.monotonic_ns()
            self._stream.called(now_ns)
            if not self._pace.settled:
                self._pace.called(frames, now_ns)
            if self._pull is None or not self._pace.settled or self._stream.is_stopping:
                return silence, PA_CONTINUE
            if self._converter is None:
                pcm = self._pulled(frames)
            else:
                pcm = self._converter.pull(frames, self._pulled)
        except BaseException as error:  # PortAudio's thread: nothing may leave it
            self._stream.fail(error)
            return silence, PA_ABORT
        return pcm, PA_CONTINUE

    def _pulled(self, frames: int) -> bytes:
        assert self._pull is not None
        pcm = self._pull(frames)
        # A short answer would end the stream without a word.
        if len(pcm) != frames * self._format.frame_bytes:
            raise AssertionError(f"{len(pcm)} bytes pulled for {frames} frames")
        return pcm


def _sensible_ns(latency_s: float) -> int | None:
    return round(latency_s * NS_PER_S) if 0 < latency_s < _SENSIBLE_DELAY_S else None


def list_all(charset: str | None, repair: bool) -> list[DeviceInfo]:
    """All devices. Raises DeviceError where PortAudio is not to be had."""
    with open_portaudio() as pa:
        return list_devices(pa, charset=charset, repair=repair)


def device_table(charset: str | None, repair: bool) -> str:
    """All devices as a table for people. Raises DeviceError."""
    return format_table(list_all(charset, repair))
