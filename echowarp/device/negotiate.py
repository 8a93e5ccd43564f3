"""Opens a PortAudio stream in a format that the device takes, or says which it would."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from echowarp.device.catalogue import DeviceInfo
from echowarp.device.periods import period_frames, whole_periods
from echowarp.device.portaudio import PA_DEVICE_UNAVAILABLE, PA_INT16, quiet_stderr
from echowarp.errors import DeviceError
from echowarp.media.format import MAX_CHANNELS, MAX_RATE, MIN_RATE, Format

DEFAULT_RATE, DEFAULT_CHANNELS = 48_000, 2
"""What is asked for first. Never a device's own maximum: 32 channels at 44,100 Hz is
what an ALSA device in front of a sound server claims, whatever is behind it."""

_COMMON_RATES = (48_000, 44_100, 96_000, 32_000, 16_000, 8_000)
_MOST_NAMED = 3

Callback = Callable[[bytes | None, int, Any, int], tuple[bytes | None, int]]


def open_input(
    pa: Any,
    info: DeviceInfo,
    callback: Callback,
    *,
    rate: int | None,
    channels: int | None,
    block_ms: float,
) -> tuple[Any, Format]:
    """Opens, without starting it, a capture stream; returns it and its format.

    rate, channels: what the user insists on, None where any will do: then 48,000 Hz
    stereo, fewer channels, the device's default rate are tried in this order. Blocks are
    whole periods of the device where those are near block_ms and matter. Raises
    DeviceError that names what the device would take.
    """
    period = period_frames(pa, info)
    rates = [rate] if rate is not None else [DEFAULT_RATE, info.default_rate]
    counts = [channels] if channels is not None else [DEFAULT_CHANNELS, 1]
    refusal: Exception | None = None
    for asked in _formats(rates, counts, block_ms):
        candidate = asked if period is None else whole_periods(asked, period)
        stream, refusal = _attempt(pa, info, candidate, callback, is_input=True)
        if refusal is None:
            return stream, candidate
        if _is_busy(refusal):
            break
    wanted = " or ".join(f"{each}" for each in _formats(rates[:1], counts[:1], block_ms))
    raise _refused(pa, info, wanted, refusal, is_input=True, advice="ask for that with ")


class Shape(NamedTuple):
    """What a stream is opened with, where that need not be what travels."""

    rate: int
    channels: int
    block_frames: int


def open_output(
    pa: Any, infos: Sequence[DeviceInfo], format: Format, callback: Callback
) -> tuple[Any, DeviceInfo, Shape]:
    """Opens, without starting it, a playback stream in this format or the nearest to it;
    returns it, the device and what it was opened with.

    infos: the device, then the same one as other host APIs show it. All are tried with
    the format itself: a host API may convert where another does not. Then, on the first,
    other numbers of channels at the format's rate, and then all that at the device's
    default rate. A change of rate at the server is no way: it has other listeners.
    Raises DeviceError that names what the first would take, also when it is busy.
    """
    refusal: Exception | None = None
    for info, shape in _shapes(infos, format):
        stream, error = _attempt(pa, info, shape, callback, is_input=False)
        if error is None:
            return stream, info, shape
        refusal = refusal or error
        if _is_busy(refusal):
            break
    raise _refused(
        pa,
        infos[0],
        str(format),
        refusal,
        is_input=False,
        advice="choose another with --device, or start the server with ",
    ) from refusal


def _shapes(infos: Sequence[DeviceInfo], format: Format) -> Iterator[tuple[DeviceInfo, Shape]]:
    exact = Shape(format.rate, format.channels, format.block_frames)
    yield from ((info, exact) for info in infos)
    first = infos[0]
    counts = (format.channels, DEFAULT_CHANNELS, min(MAX_CHANNELS, first.outputs), 1)
    for rate in dict.fromkeys((format.rate, first.default_rate)):
        for count in dict.fromkeys(counts):
            shape = Shape(rate, count, max(1, format.block_frames * rate // format.rate))
            if shape != exact and MIN_RATE <= rate <= MAX_RATE and count <= first.outputs:
                yield first, shape


def _formats(rates: Sequence[int], counts: Sequence[int], block_ms: float) -> Iterator[Format]:
    for rate in dict.fromkeys(rates):
        for count in counts:
            # A device's default rate may be one that no stream can have.
            with contextlib.suppress(ValueError):
                yield Format.for_blocks(rate=rate, channels=count, block_ms=block_ms)


def _attempt(
    pa: Any, info: DeviceInfo, format: Format | Shape, callback: Callback, *, is_input: bool
) -> tuple[Any, Exception | None]:
    try:
        return _open(pa, info, format, callback, is_input=is_input), None
    except (OSError, ValueError) as error:
        return None, error


def _open(
    pa: Any, info: DeviceInfo, format: Format | Shape, callback: Callback, *, is_input: bool
) -> Any:
    direction = "input" if is_input else "output"
    with _pulse_source(info.pulse_source), quiet_stderr():
        return pa.open(
            rate=format.rate,
            channels=format.channels,
            format=PA_INT16,
            frames_per_buffer=format.block_frames,
            stream_callback=callback,
            start=False,
            **{direction: True, f"{direction}_device_index": info.index},
        )


@contextlib.contextmanager
def _pulse_source(name: str | None) -> Iterator[None]:
    """Has the PulseAudio library, which looks while a stream opens, connect to `name`."""
    if name is None:
        yield
        return
    before = os.environ.get("PULSE_SOURCE")
    os.environ["PULSE_SOURCE"] = name
    try:
        yield
    finally:
        if before is None:
            del os.environ["PULSE_SOURCE"]
        else:
            os.environ["PULSE_SOURCE"] = before


def _is_busy(error: Exception) -> bool:
    return PA_DEVICE_UNAVAILABLE in error.args


def _refused(
    pa: Any,
    info: DeviceInfo,
    wanted: str,
    error: Exception | None,
    *,
    is_input: bool,
    advice: str,
) -> DeviceError:
    if error is not None and _is_busy(error):
        return DeviceError(
            f"device {info} is busy: close the program that uses it, or choose another"
        )
    taken = list(_taken(pa, info, is_input=is_input))
    if not taken:
        reason = error.args[-1] if error is not None and error.args else "no format fits"
        return DeviceError(
            f"device {info} does not open ({reason}): it may be in use by another program,"
            " unplugged or forbidden; --list_devices shows the others"
        )
    takes = "; ".join(f"{rate} Hz, {count} channels" for rate, count in taken)
    rate, count = taken[0]
    return DeviceError(
        f"device {info} does not take {wanted}; it takes {takes}:"
        f" {advice}--sample_rate {rate} --channels {count}"
    )


def _taken(pa: Any, info: DeviceInfo, *, is_input: bool) -> Iterable[tuple[int, int]]:
    """A few formats that the device takes."""
    most = min(MAX_CHANNELS, info.inputs if is_input else info.outputs)
    counts = sorted(range(1, most + 1), key=lambda count: abs(count - DEFAULT_CHANNELS))
    direction = "input" if is_input else "output"
    named = 0
    for rate in dict.fromkeys((info.default_rate, *_COMMON_RATES)):
        for count in counts:
            arguments = {
                f"{direction}_device": info.index,
                f"{direction}_channels": count,
                f"{direction}_format": PA_INT16,
            }
            with _pulse_source(info.pulse_source), quiet_stderr():
                try:
                    pa.is_format_supported(rate, **arguments)
                except ValueError:
                    continue
            yield rate, count
            named += 1
            if named == _MOST_NAMED:
                return
            break  # the best channel count of this rate is enough
