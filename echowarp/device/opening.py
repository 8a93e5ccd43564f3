"""Opens the device that the user asked for, and later the same one again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from echowarp.device.card import CardSink, CardSource
from echowarp.device.catalogue import DeviceInfo, Want, choose, list_devices, same_outputs
from echowarp.device.loopback import choose_loopback, pulse_outputs
from echowarp.device.portaudio import initialise, open_portaudio, terminate
from echowarp.errors import DeviceError
from echowarp.media.format import MAX_RATE, MIN_RATE, Format

_MONITOR = ".monitor"
"""How PulseAudio and PipeWire end the name of what hears an output."""


_PLUGIN_OUTPUTS = 32
"""An ALSA device with so many is a plug-in before a card or a sound server: it takes
whatever comes, and its rate is PortAudio's guess."""
MOST_OWN_CHANNELS = 2
"""Of a device with more, others than the first two are seldom there to hear people."""


class OwnFormat(NamedTuple):
    """What a device plays without a conversion: hertz, and channels, at most two."""

    rate: int
    channels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which device the user asked for: by PortAudio's index, by part of its name, or the
    default; charset, repair: how and whether device names are mended."""

    device_id: int | None
    name: str | None
    charset: str | None
    repair: bool

    @property
    def is_default(self) -> bool:
        """Whether no device was named."""
        return self.device_id is None and self.name is None


def find_again(
    devices: Sequence[DeviceInfo],
    had: DeviceInfo,
    asked: Asked,
    want: Want,
    pick: Callable[[int | None, str | None], DeviceInfo],
) -> DeviceInfo:
    """The device `had` in a new list, by its name, for its index may now be another's.

    pick(device_id, name): chooses in that list. Where the default was asked for, it is
    today's. Raises DeviceError while the device is not there.
    """
    heard = had.pulse_source
    if asked.is_default or (heard is not None and not heard.endswith(_MONITOR)):
        return pick(None, None)
    if heard is not None:
        found = pick(None, heard.removesuffix(_MONITOR))
        if found.pulse_source != heard:
            raise DeviceError(f"there is no '{heard}'")
        return found
    same = [each for each in devices if each.name == had.name and _is_fit(each, want)]
    if same:
        return min(same, key=lambda d: (d.host_api != had.host_api, abs(d.index - had.index)))
    if asked.name is None:
        raise DeviceError(f"there is no device '{had.name}'")
    return pick(None, asked.name)


def _is_fit(device: DeviceInfo, want: Want) -> bool:
    if want == "output":
        return device.outputs > 0
    return device.inputs > 0 and (want == "input" or device.is_loopback)


class _Opener:
    """Remembers the device, so that it is found again."""

    def __init__(self, asked: Asked, want: Want) -> None:
        self._asked = asked
        self._want = want
        self.had: DeviceInfo | None = None
        """The device that was opened last."""

    def _find(self, pa: Any) -> tuple[DeviceInfo, list[DeviceInfo]]:
        devices = list_devices(pa, charset=self._asked.charset, repair=self._asked.repair)

        def pick(device_id: int | None, name: str | None) -> DeviceInfo:
            if self._want != "loopback":
                return choose(devices, device_id=device_id, name=name, want=self._want)
            return choose_loopback(
                devices,
                device_id=device_id,
                name=name,
                platform=sys.platform,
                outputs=pulse_outputs() if sys.platform.startswith("linux") else [],
            )

        if self.had is None:
            return pick(self._asked.device_id, self._asked.name), devices
        return find_again(devices, self.had, self._asked, self._want, pick), devices


class SourceOpener(_Opener):
    """Opens a device for capture.

    loopback: capture what an output plays; rate, channels: insisted on where not None;
    block_ms: length of a block.
    """

    def __init__(
        self,
        asked: Asked,
        *,
        loopback: bool,
        rate: int | None,
        channels: int | None,
        block_ms: float,
    ) -> None:
        super().__init__(asked, "loopback" if loopback else "input")
        self._rate = rate
        self._channels = channels
        self._block_ms = block_ms
        self._format: Format | None = None

    def open(self) -> CardSource:
        """The device, opened; after the first time in the same format, for a stream keeps
        its own. Raises DeviceError."""
        pa = initialise()
        try:
            info, _ = self._find(pa)
        except BaseException:
            terminate(pa)
            raise
        card = CardSource(
            pa, info, rate=self._rate, channels=self._channels, block_ms=self._block_ms
        )
        fmt = card.format
        if self._format is None:
            # Half a frame more, so that rounding down gives the same number of frames.
            self._block_ms = (fmt.block_frames + 0.5) * 1000 / fmt.rate
            self._format, self._rate, self._channels = fmt, fmt.rate, fmt.channels
        elif fmt != self._format:
            card.stop()
            raise DeviceError(f"device {info} has come back with other blocks")
        self.had = info
        return card


class SinkOpener(_Opener):
    """Opens a device for playback."""

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked, "output")

    def check(self) -> None:
        """Looks whether the device is there. Raises DeviceError."""
        with open_portaudio() as pa:
            self._find(pa)

    def own_format(self) -> OwnFormat | None:
        """The device's own format, None where it does not tell it, or is away that was there.
        Raises DeviceError."""
        try:
            with open_portaudio() as pa:
                info, _ = self._find(pa)
        except DeviceError:
            if self.had is None:
                raise
            return None
        is_card = info.host_api != "ALSA" or info.outputs < _PLUGIN_OUTPUTS
        if not is_card or not MIN_RATE <= info.default_rate <= MAX_RATE:
            return None
        return OwnFormat(info.default_rate, min(info.outputs, MOST_OWN_CHANNELS))

    def open(self, fmt: Format) -> CardSink:
        """The device, opened for a stream in this format; a line of the log tells where
        it takes only another. Raises DeviceError."""
        pa = initialise()
        try:
            info, devices = self._find(pa)
        except BaseException:
            terminate(pa)
            raise
        card = CardSink(pa, info, fmt, same_outputs(devices, info))
        self.had = info
        return card
