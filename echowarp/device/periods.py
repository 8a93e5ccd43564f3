"""Blocks that are whole periods of a device which only hands out whole periods.

Where a block and a period differ, every block waits for the period that completes it:
up to a period more delay, at either end.
"""

from __future__ import annotations

import threading
from typing import Any

from echowarp.device.catalogue import DeviceInfo
from echowarp.device.portaudio import PA_CONTINUE, PA_INT16, quiet_stderr
from echowarp.media.format import MAX_PAYLOAD_BYTES, Format

_FIRST_CALL_S = 0.5
"""A running JACK server calls within a period."""

_NEAR_ENOUGH = 8
"""A block may differ from what was asked for by one part in so many."""


def period_frames(pa: Any, info: DeviceInfo) -> int | None:
    """The period of a capture device, in frames; None where there is none to be heeded,
    which is everywhere but with JACK, or where the device does not tell by calling."""
    if "JACK" not in info.host_api:
        return None
    seen: list[int] = []
    called = threading.Event()

    def callback(data: bytes | None, frames: int, times: Any, status: int) -> tuple[None, int]:
        seen.append(frames)
        called.set()
        return None, PA_CONTINUE

    try:
        with quiet_stderr():
            stream = pa.open(
                rate=info.default_rate,
                channels=min(2, info.inputs),
                format=PA_INT16,
                frames_per_buffer=0,
                stream_callback=callback,
                input=True,
                input_device_index=info.index,
            )
    except (OSError, ValueError):
        return None  # the stream itself will not open either, and says why
    try:
        called.wait(_FIRST_CALL_S)
    finally:
        stream.close()
    return seen[0] if seen else None


def whole_periods(format: Format, period: int) -> Format:
    """The format with its blocks stretched or cut to whole periods, or as it is where
    that would be far from what was asked for.

    period: in frames, at least 1.
    """
    wanted = format.block_frames
    frames = period * max(1, (wanted + period // 2) // period)
    fits = frames * format.frame_bytes <= MAX_PAYLOAD_BYTES
    if not fits or abs(frames - wanted) * _NEAR_ENOUGH > wanted:
        return format
    return Format(rate=format.rate, channels=format.channels, block_frames=frames)
