"""Capturing what an output plays (`-o`): each system has its own way, or none."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
from collections.abc import Sequence

from echowarp.device.catalogue import DeviceInfo, Want, choose
from echowarp.errors import DeviceError

_DEFAULT_MONITOR = "@DEFAULT_MONITOR@"
"""PulseAudio's and PipeWire's name for the monitor of the default output."""

_PULSE_PCM = "pulse"
"""The ALSA device that reaches the sound server and obeys PULSE_SOURCE. Others (default,
pipewire) need not, and would hand out the microphone instead."""

_DEFAULT_NAMES = (_PULSE_PCM, "default")
"""Devices that stand for whatever output is the default."""

_PACTL_TIMEOUT_S = 3.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PulseOutput:
    """An output of PulseAudio or PipeWire: its name, and what people call it."""

    name: str
    description: str


def choose_loopback(
    devices: Sequence[DeviceInfo],
    *,
    device_id: int | None,
    name: str | None,
    platform: str,
    outputs: Sequence[PulseOutput],
) -> DeviceInfo:
    """The device from which to capture what an output plays.

    platform: as `sys.platform`; outputs: those of the sound server (Linux). A name or
    index may mean such an input itself (a monitor, a WASAPI loopback, BlackHole) or
    the output that it hears. Raises DeviceError that says what to install or choose.
    """
    if device_id is not None:
        asked = choose(devices, device_id=device_id, name=None, want=_any_way(devices, device_id))
        if asked.is_loopback:
            return asked
        name = asked.name
    if name is None or name.casefold() in _DEFAULT_NAMES:
        return _hearing_default(devices, platform)
    return _hearing(devices, name, platform, outputs)


def _any_way(devices: Sequence[DeviceInfo], device_id: int) -> Want:
    """Which of its directions a device has, so that its index alone is judged."""
    outputs = [device.outputs for device in devices if device.index == device_id]
    return "output" if outputs and outputs[0] else "input"


def _hearing_default(devices: Sequence[DeviceInfo], platform: str) -> DeviceInfo:
    """The device that hears the default output."""
    pulse = _through_pulse(devices, _DEFAULT_MONITOR)
    if pulse is not None:
        return pulse
    loopbacks = [device for device in devices if device.is_loopback]
    if not loopbacks:
        raise DeviceError(_advice(platform))
    # PyAudioWPatch calls it as the output, with " [Loopback]" after it.
    default = next((device.name for device in devices if device.is_default_output), None)
    matching = [device for device in loopbacks if default and device.name.startswith(default)]
    return (matching or loopbacks)[0]


def _hearing(
    devices: Sequence[DeviceInfo], name: str, platform: str, outputs: Sequence[PulseOutput]
) -> DeviceInfo:
    """The device that hears the output called `name`."""
    wanted = name.casefold()
    called = [(each, (each.name.casefold(), each.description.casefold())) for each in outputs]
    matches = [each for each, names in called if wanted in names] or [
        each for each, names in called if any(wanted in one for one in names)
    ]
    if len(matches) > 1:
        raise DeviceError(f"'{name}' is ambiguous; it matches the outputs {_listed(matches)}")
    pulse = _through_pulse(devices, f"{matches[0].name}.monitor") if matches else None
    if pulse is not None:
        return pulse
    if any(device.is_loopback for device in devices):
        return choose(devices, device_id=None, name=name, want="loopback")
    if outputs and _through_pulse(devices, _DEFAULT_MONITOR) is not None:
        raise DeviceError(f"no output has '{name}' in its name; there is {_listed(outputs)}")
    raise DeviceError(_advice(platform))


def _listed(outputs: Sequence[PulseOutput]) -> str:
    return ", ".join(f"'{each.description}' ({each.name})" for each in outputs)


def _through_pulse(devices: Sequence[DeviceInfo], source: str) -> DeviceInfo | None:
    for device in devices:
        if device.name == _PULSE_PCM and device.host_api == "ALSA" and device.inputs:
            return dataclasses.replace(device, is_loopback=True, pulse_source=source)
    return None


def _advice(platform: str) -> str:
    if platform == "win32":
        return (
            "capturing an output needs WASAPI loopback: pip install PyAudioWPatch;"
            " or enable 'Stereo Mix' in the sound settings and choose it with --device"
        )
    if platform == "darwin":
        return (
            "capturing an output needs a virtual device on macOS: brew install blackhole-2ch,"
            " make it part of a multi-output device, then --device BlackHole"
        )
    return (
        "capturing an output needs PulseAudio or PipeWire and its ALSA plugin:"
        " apt install libasound2-plugins pulseaudio-utils"
        " (Fedora: dnf install alsa-plugins-pulseaudio pulseaudio-utils),"
        " with PulseAudio or pipewire-pulse running"
    )


def pulse_outputs() -> list[PulseOutput]:
    """The outputs of the running sound server, none where `pactl` cannot tell."""
    if shutil.which("pactl") is None:
        return []
    try:
        answer = subprocess.run(
            ["pactl", "list", "sinks"],
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PACTL_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return parse_outputs(answer.stdout.decode("utf-8", "replace"))


def parse_outputs(text: str) -> list[PulseOutput]:
    """Outputs from what `pactl list sinks` prints in the C locale."""
    found = re.findall(r"^\tName: (.*)\n\tDescription: (.*)$", text, re.MULTILINE)
    return [PulseOutput(name=name, description=description) for name, description in found]
