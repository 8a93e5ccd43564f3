"""A PyAudio that has the devices it is told to have."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

BAD_RATE = OSError(-9997, "Invalid sample rate")
BAD_CHANNELS = OSError(-9998, "Invalid number of channels")
BUSY = OSError(-9985, "Device unavailable")


class FakeStream:
    def __init__(self, pa: FakePyAudio, options: dict[str, Any]) -> None:
        self.pa = pa
        self.options = options
        self.callback = options["stream_callback"]
        self.active = True
        self.closed = False
        self.latency_s = 0.01

    def start_stream(self) -> None:
        if self.pa.start_error is not None:
            raise self.pa.start_error

    def is_active(self) -> bool:
        return self.active

    def get_output_latency(self) -> float:
        return self.latency_s

    def close(self) -> None:
        self.closed = True


class FakePyAudio:
    """apis: (name, default input, default output); devices: dicts as PyAudio's;
    takes: which (index, is input, rate, channels) can be opened."""

    def __init__(
        self,
        apis: list[tuple[str, int, int]],
        devices: list[dict[str, Any]],
        takes: Callable[[int, bool, int, int], Exception | None] = lambda *_: None,
    ) -> None:
        self.apis = apis
        self.devices = devices
        self.takes = takes
        self.tried: list[tuple[int, int]] = []
        self.streams: list[FakeStream] = []
        self.pulse_sources: list[str | None] = []
        self.terminated = 0
        self.start_error: OSError | None = None

    def get_device_count(self) -> int:
        return len(self.devices)

    def get_device_info_by_index(self, index: int) -> dict[str, Any]:
        return {**self.devices[index], "index": index}

    def get_host_api_count(self) -> int:
        return len(self.apis)

    def get_host_api_info_by_index(self, index: int) -> dict[str, Any]:
        name, default_input, default_output = self.apis[index]
        return {
            "name": name,
            "defaultInputDevice": default_input,
            "defaultOutputDevice": default_output,
        }

    def get_default_input_device_info(self) -> dict[str, Any]:
        return self._default(self.apis[0][1] if self.apis else -1)

    def get_default_output_device_info(self) -> dict[str, Any]:
        return self._default(self.apis[0][2] if self.apis else -1)

    def _default(self, index: int) -> dict[str, Any]:
        if index < 0:
            raise OSError("No Default Device Available")
        return self.get_device_info_by_index(index)

    def open(self, **options: Any) -> FakeStream:
        self.tried.append((options["rate"], options["channels"]))
        self.pulse_sources.append(os.environ.get("PULSE_SOURCE"))
        is_input = "input" in options
        index = options["input_device_index" if is_input else "output_device_index"]
        error = self.takes(index, is_input, options["rate"], options["channels"])
        if error is not None:
            raise error
        stream = FakeStream(self, options)
        self.streams.append(stream)
        return stream

    def is_format_supported(self, rate: int, **options: Any) -> bool:
        is_input = "input_device" in options
        kind = "input" if is_input else "output"
        error = self.takes(options[f"{kind}_device"], is_input, rate, options[f"{kind}_channels"])
        if error is not None:
            raise ValueError(error.args[1], error.args[0])
        return True

    def terminate(self) -> None:
        self.terminated += 1


def device(
    name: str | bytes, api: int, inputs: int, outputs: int, rate: float = 48000.0, **more: object
) -> dict[str, Any]:
    return {
        "name": name,
        "hostApi": api,
        "maxInputChannels": inputs,
        "maxOutputChannels": outputs,
        "defaultSampleRate": rate,
        **more,
    }


def windows(*, fork: bool) -> FakePyAudio:
    """Three host APIs for two cards; with `fork`, PyAudioWPatch's loopback device."""
    mojibake = "Микрофон (Realtek)".encode().decode("cp1251")
    devices = [
        device("Microsoft Sound Mapper - Input", 0, 2, 0, 44100),
        device("Speakers (Realtek High Definiti", 0, 0, 8, 44100),
        device("Speakers (Realtek High Definition Audio)", 1, 0, 8, 44100),
        device("Speakers (Realtek High Definition Audio)", 2, 0, 2),
        device("HDMI (Intel Display Audio)", 2, 0, 2),
        device(mojibake, 2, 2, 0),
    ]
    if fork:
        devices = [{**each, "isLoopbackDevice": False} for each in devices]
        for name in ("HDMI (Intel Display Audio)", "Speakers (Realtek High Definition Audio)"):
            devices.append(device(f"{name} [Loopback]", 2, 2, 0, isLoopbackDevice=True))
    return FakePyAudio(
        [("MME", 0, 1), ("Windows DirectSound", -1, 2), ("Windows WASAPI", 5, 3)], devices
    )


def mac(*, blackhole: bool) -> FakePyAudio:
    devices = [
        device("MacBook Pro Microphone", 0, 1, 0),
        device("MacBook Pro Speakers", 0, 0, 2),
    ]
    if blackhole:
        devices.append(device("BlackHole 2ch", 0, 2, 2))
    return FakePyAudio([("Core Audio", 0, 1)], devices)


def linux(*, pulse: bool) -> FakePyAudio:
    devices = [
        device("HDA Intel PCH: ALC257 Analog (hw:0,0)", 0, 2, 2),
        device("sysdefault", 0, 128, 128),
        device("default", 0, 32, 32, 44100),
    ]
    if pulse:
        devices.append(device("pulse", 0, 32, 32, 44100))
    return FakePyAudio([("ALSA", 2, 2)], devices)


def jack() -> FakePyAudio:
    devices = [device("system", 0, 2, 2), device("Firefox", 0, 2, 0)]
    return FakePyAudio([("JACK Audio Connection Kit", 0, 0)], devices)


def nothing() -> FakePyAudio:
    return FakePyAudio([("ALSA", -1, -1)], [])
