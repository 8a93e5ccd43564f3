"""A running PortAudio stream: its watchdog, and its end without hanging."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from echowarp.device.portaudio import run_with_timeout
from echowarp.errors import DeviceError
from echowarp.media.format import NS_PER_S

_FIRST_CALL_NS = 5 * NS_PER_S
"""A sound server may take seconds to begin: an idle one has long buffers to finish."""

_STALL_NS = 2 * NS_PER_S
"""A device that asked for nothing so long is gone, or its server hangs."""

_LOOK_S = 0.1
_ASLEEP_NS = NS_PER_S
"""A look that came so late means that this process itself was stopped."""

_CLOSE_S = 1.0
"""Closing may wait for ever for a sound server that hangs."""


def gone(name: str) -> str:
    """What is said of a device that is not there any more."""
    return f"device {name} has gone: unplugged, or its server ended"


class RunningStream:
    """Owns a PyAudio object and the one stream opened on it.

    stream: opened, not started, in callback mode; name: for messages; may_pause: the
    device calls back only while something plays.
    """

    def __init__(self, pa: Any, stream: Any, *, name: str, may_pause: bool) -> None:
        self._pa = pa
        self._stream = stream
        self._name = name
        self._may_pause = may_pause
        self._stopping = threading.Event()
        self._error: BaseException | None = None
        self._called_ns: int | None = None
        self._watchdog: threading.Thread | None = None

    def start(self, failed: Callable[[BaseException], None]) -> None:
        """Starts the stream; `failed` is told once if it dies. Raises DeviceError."""
        try:
            self._stream.start_stream()
        except OSError as error:
            raise DeviceError(f"device {self._name} cannot start: {error}") from error
        self._watchdog = threading.Thread(
            target=self._watch, args=(failed,), name="audio device watchdog", daemon=True
        )
        self._watchdog.start()

    def called(self, now_ns: int) -> None:
        """The callback has been called (on PortAudio's thread)."""
        self._called_ns = now_ns

    def fail(self, error: BaseException) -> None:
        """The callback has failed: the watchdog reports it from its own thread."""
        self._error = error

    @property
    def is_stopping(self) -> bool:
        """Whether stop() has been called."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Ends and closes everything, or leaves it behind where that hangs. Idempotent."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        if self._watchdog is not None and self._watchdog is not threading.current_thread():
            self._watchdog.join()
        run_with_timeout(self._close, _CLOSE_S)

    def _close(self) -> None:
        try:
            self._stream.close()
        finally:
            # PortAudio looks for devices anew only after all of it has ended.
            self._pa.terminate()

    def output_latency_s(self) -> float:
        """What PortAudio says of the way from here to the loudspeaker, in seconds."""
        return float(self._stream.get_output_latency())

    def _watch(self, failed: Callable[[BaseException], None]) -> None:
        started_ns = looked_ns = time.monotonic_ns()
        while not self._stopping.wait(_LOOK_S):
            now_ns = time.monotonic_ns()
            if now_ns - looked_ns > _ASLEEP_NS and self._called_ns is not None:
                self._called_ns = now_ns
            looked_ns = now_ns
            error = self._error or self._why_dead(now_ns, started_ns)
            if error is not None:
                failed(error)
                return

    def _why_dead(self, now_ns: int, started_ns: int) -> DeviceError | None:
        if not self._stream.is_active():
            return DeviceError(gone(self._name))
        called_ns = self._called_ns
        silent_ns = now_ns - (started_ns if called_ns is None else called_ns)
        limit_ns = _FIRST_CALL_NS if called_ns is None else _STALL_NS
        if silent_ns > limit_ns and not self._may_pause:
            return DeviceError(
                f"device {self._name} has stopped: nothing for {silent_ns / NS_PER_S:.0f} s"
            )
        return None
