"""The audio devices that PortAudio knows: listing them and choosing one.

Works on any object with PyAudio's enumeration methods.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from echowarp.device.names import repair_name
from echowarp.errors import DeviceError

Want = Literal["input", "output", "loopback"]

_WASAPI = "Windows WASAPI"
"""The host API to prefer: its delay is about 3 ms, where others have 90 and more."""

_CUT_NAME = 31
"""Where Windows MME cuts the names of its devices off."""

_VIRTUAL_DEVICES = ("blackhole", "soundflower", "loopback", "vb-cable", "vb-audio")
"""Names of drivers that hand what is played into them to whoever captures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInfo:
    """One device as one host API shows it.

    index: PortAudio's; inputs, outputs: the most channels it claims; default_rate: in
    hertz; is_loopback: an input that hears what an output plays; pulse_source: the
    PulseAudio source that its stream must be connected to, None for its own.
    """

    index: int
    name: str
    host_api: str
    inputs: int
    outputs: int
    default_rate: int
    is_default_input: bool
    is_default_output: bool
    is_loopback: bool
    pulse_source: str | None = None

    def __str__(self) -> str:
        return f"{self.index} '{self.name}' ({self.host_api})"


def list_devices(pa: Any, *, charset: str | None, repair: bool) -> list[DeviceInfo]:
    """All devices, in PortAudio's order.

    pa: a PyAudio object; charset, repair: how and whether names are mended.
    """
    default_input, default_output = _defaults(pa)
    return [
        _describe(pa, index, default_input, default_output, charset, repair)
        for index in range(pa.get_device_count())
    ]


def _describe(
    pa: Any,
    index: int,
    default_input: int | None,
    default_output: int | None,
    charset: str | None,
    repair: bool,
) -> DeviceInfo:
    raw = pa.get_device_info_by_index(index)
    name = raw["name"]
    if repair:
        name = repair_name(name, charset)
    elif isinstance(name, bytes):
        name = name.decode("utf-8", "backslashreplace")
    inputs = int(raw["maxInputChannels"])
    return DeviceInfo(
        index=index,
        name=name,
        host_api=str(pa.get_host_api_info_by_index(raw["hostApi"])["name"]),
        inputs=inputs,
        outputs=int(raw["maxOutputChannels"]),
        default_rate=round(raw["defaultSampleRate"]),
        is_default_input=index == default_input,
        is_default_output=index == default_output,
        is_loopback=bool(raw.get("isLoopbackDevice")) or (inputs > 0 and _hears_output(name)),
    )


def _hears_output(name: str) -> bool:
    lower = name.lower()
    return "monitor of " in lower or ".monitor" in lower or _is_virtual(lower)


def _is_virtual(name: str) -> bool:
    return any(each in name.lower() for each in _VIRTUAL_DEVICES)


def _defaults(pa: Any) -> tuple[int | None, int | None]:
    """The default input and output: WASAPI's where there is WASAPI, else PortAudio's."""
    for api in range(pa.get_host_api_count()):
        info = pa.get_host_api_info_by_index(api)
        if info["name"] == _WASAPI:
            found_input, found_output = info["defaultInputDevice"], info["defaultOutputDevice"]
            if found_input >= 0 or found_output >= 0:
                return (
                    found_input if found_input >= 0 else None,
                    found_output if found_output >= 0 else None,
                )
    return (
        _index_of(pa.get_default_input_device_info),
        _index_of(pa.get_default_output_device_info),
    )


def _index_of(ask: Any) -> int | None:
    try:
        return int(ask()["index"])
    except OSError:  # PyAudio's way to say that there is none
        return None


def format_table(devices: Sequence[DeviceInfo]) -> str:
    """A table of the devices for people, a line each, without a final newline.

    `>` marks the default input, `<` the default output.
    """
    if not devices:
        return "No audio devices were found."
    heads = ("", "index", "name", "host API", "in", "out", "rate", "notes")
    rows = [heads, *(_row(device) for device in devices)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    left = (0, 2, 3, 7)
    lines = (
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
    return "\n".join(lines)


def _row(device: DeviceInfo) -> tuple[str, ...]:
    notes = (
        ("default input", device.is_default_input),
        ("default output", device.is_default_output),
        ("hears an output (-o)", device.is_loopback),
    )
    return (
        (">" if device.is_default_input else " ") + ("<" if device.is_default_output else " "),
        str(device.index),
        "".join(letter if letter.isprintable() else "?" for letter in device.name),
        device.host_api,
        str(device.inputs),
        str(device.outputs),
        str(device.default_rate),
        ", ".join(note for note, holds in notes if holds),
    )


def choose(
    devices: Sequence[DeviceInfo], *, device_id: int | None, name: str | None, want: Want
) -> DeviceInfo:
    """The device with this index, or whose name holds `name`, or else the default.

    want: what it is for; "loopback" takes only devices with `is_loopback`. Raises
    DeviceError (one line): none, ambiguous, or not fit for that.
    """
    if not devices:
        raise DeviceError("no audio devices were found; is a sound server or driver running?")
    if device_id is not None:
        return _by_index(devices, device_id, want)
    fitting = [device for device in devices if _fits(device, want)]
    if name is not None:
        return _by_name(devices, fitting, name, want)
    default = [
        device
        for device in fitting
        if (want == "input" and device.is_default_input)
        or (want == "output" and device.is_default_output)
        or want == "loopback"
    ]
    if default:
        return default[0]
    raise DeviceError(
        f"there is no default {want} device; choose one with --device: {_names(fitting)}"
    )


def same_outputs(devices: Sequence[DeviceInfo], info: DeviceInfo) -> list[DeviceInfo]:
    """The output `info` as other host APIs show it, in PortAudio's order.

    Left out where one host API has several of that name: which it is cannot be told.
    """
    found: dict[str, list[DeviceInfo]] = {}
    for device in devices:
        if device.outputs and device.host_api != info.host_api and _same_name(device, info):
            found.setdefault(device.host_api, []).append(device)
    return [each[0] for each in found.values() if len(each) == 1]


def _same_name(one: DeviceInfo, other: DeviceInfo) -> bool:
    short, long = sorted((one.name.casefold(), other.name.casefold()), key=len)
    return short == long or (len(short) >= _CUT_NAME and long.startswith(short))


def _by_index(devices: Sequence[DeviceInfo], device_id: int, want: Want) -> DeviceInfo:
    found = [device for device in devices if device.index == device_id]
    if not found:
        raise DeviceError(
            f"there is no device {device_id}; --list_devices shows those from"
            f" {devices[0].index} to {devices[-1].index}"
        )
    if not _fits(found[0], want):
        raise DeviceError(f"device {found[0]} {_LACKS[want]}; --list_devices shows the others")
    return found[0]


def _by_name(
    devices: Sequence[DeviceInfo], fitting: Sequence[DeviceInfo], name: str, want: Want
) -> DeviceInfo:
    wanted = name.casefold()
    matches = [device for device in fitting if wanted in device.name.casefold()]
    # A full name is not ambiguous because another one contains it, nor is one that
    # several host APIs show: the one with the least delay is meant.
    exact = [device for device in matches if device.name.casefold() == wanted]
    matches = exact or matches
    if len({device.name for device in matches}) == 1:
        matches = [device for device in matches if device.host_api == _WASAPI] or matches
        if len({device.host_api for device in matches}) == len(matches):
            matches = matches[:1]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise DeviceError(f"'{name}' is ambiguous; it matches {_names(matches)}")
    others = [device for device in devices if wanted in device.name.casefold()]
    if others:
        raise DeviceError(f"device {others[0]} {_LACKS[want]}; there is {_names(fitting)}")
    raise DeviceError(f"no {want} device has '{name}' in its name; there is {_names(fitting)}")


_LACKS: dict[Want, str] = {
    "input": "has no inputs",
    "output": "has no outputs",
    "loopback": "does not hear what an output plays",
}


def _fits(device: DeviceInfo, want: Want) -> bool:
    if want == "output":
        return device.outputs > 0
    return device.inputs > 0 and (want == "input" or device.is_loopback)


def _names(devices: Iterable[DeviceInfo]) -> str:
    return ", ".join(str(device) for device in devices) or "none"
