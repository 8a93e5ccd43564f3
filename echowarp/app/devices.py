"""The devices that the prompts offer."""

from __future__ import annotations

from collections.abc import Sequence

from echowarp.config.settings import Settings
from echowarp.device.card import list_all
from echowarp.ui.prompts import DeviceChoice


def device_choices(settings: Settings, end: str) -> Sequence[DeviceChoice]:
    """The devices that fit as that end, `source` or `sink`. Raises DeviceError without
    PortAudio."""
    wants_input = end == "source" and (settings.talks or settings.is_input_audio_device)
    choices = []
    devices = list_all(settings.device_encoding_names, not settings.ignore_device_encoding_names)
    for device in devices:
        channels = device.inputs if wants_input else device.outputs
        if channels or (device.is_loopback and settings.is_server and not wants_input):
            is_default = device.is_default_input if wants_input else device.is_default_output
            label = f"{device.name} ({device.host_api})"
            choices.append(
                DeviceChoice(
                    index=device.index, name=device.name, label=label, is_default=is_default
                )
            )
    return choices
