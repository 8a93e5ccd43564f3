from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from echowarp.device import opening, portaudio
from echowarp.device.loopback import PulseOutput
from echowarp.device.opening import Asked, OwnFormat, SinkOpener, SourceOpener
from echowarp.errors import DeviceError
from echowarp.media.format import Format
from tests.device.fake_portaudio import BUSY, FakePyAudio, device

FORMAT = Format.for_blocks(rate=48000, channels=2, block_ms=5)
Plug = Callable[[FakePyAudio], FakePyAudio]


def asked(device_id: int | None = None, name: str | None = None) -> Asked:
    return Asked(device_id=device_id, name=name, charset=None, repair=True)


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Plug:
    """What PortAudio shows from then on."""

    def plug(pa: FakePyAudio) -> FakePyAudio:
        for module in (opening, portaudio):
            monkeypatch.setattr(module, "initialise", lambda: pa)
        return pa

    return plug


def machine(
    *names: str, default: int = 0, takes: Callable[..., Exception | None] = lambda *_: None
) -> FakePyAudio:
    """Devices that both capture and play; `NAME@API` is one of another host API."""
    apis = ["ALSA", "OSS"]
    parts = [name.partition("@") for name in names]
    devices = [device(name, apis.index(api or "ALSA"), 2, 2) for name, _, api in parts]
    return FakePyAudio([("ALSA", default, default), ("OSS", -1, -1)], devices, takes)


def source(of: Asked, **options: Any) -> SourceOpener:
    fixed = {"loopback": False, "rate": None, "channels": None, "block_ms": 5.0}
    return SourceOpener(of, **{**fixed, **options})


def index_of(pa: FakePyAudio) -> int:
    index: int = pa.streams[-1].options["input_device_index"]
    return index


@pytest.mark.parametrize(
    ("of", "before", "after", "found"),
    [
        (asked(1), ["A", "Mic"], ["Mic", "A"], 0),
        (asked(1), ["A", "Mic"], ["A", "B", "Mic"], 2),
        (asked(name="mi"), ["A", "Mic"], ["Mic two", "A", "Mic"], 2),
        (asked(name="mi"), ["A", "Mic"], ["Mic two", "A"], 0),
        (asked(1), ["A", "Mic"], ["Mic@OSS", "A", "Mic"], 2),
        (asked(1), ["A", "Mic@OSS"], ["Mic", "A", "Mic@OSS"], 2),
        (asked(1), ["A", "Mic"], ["A", "Mic@OSS"], 1),
        (asked(2), ["Mic", "A", "Mic"], ["Mic", "A", "Mic"], 2),
        (asked(), ["A", "B"], ["B", "A"], 0),
    ],
)
def test_it_is_found_again_by_its_name(
    plug: Plug, of: Asked, before: list[str], after: list[str], found: int
) -> None:
    plug(machine(*before))
    opener = source(of)
    opener.open().stop()
    pa = plug(machine(*after))
    opener.open().stop()
    assert index_of(pa) == found


@pytest.mark.parametrize(
    ("of", "after"), [(asked(1), ["A", "B"]), (asked(name="mic"), ["A", "B"]), (asked(), [])]
)
def test_it_is_not_there(plug: Plug, of: Asked, after: list[str]) -> None:
    plug(machine("A", "Mic"))
    opener = source(of)
    opener.open().stop()
    pa = plug(machine(*after, default=-1))
    for _ in range(2):
        with pytest.raises(DeviceError):
            opener.open()
    assert pa.terminated == 2
    plug(machine("Mic", "A"))
    opener.open().stop()


def test_its_format_stays(plug: Plug) -> None:
    for rate, block_ms in ((44100, 2.5), (48000, 5.0), (11025, 10.0)):
        plug(machine("A", takes=lambda _i, _o, r, _c, rate=rate: None if r == rate else BUSY))
        opener = source(asked(0), rate=rate, block_ms=block_ms)
        first = opener.open()
        first.stop()
        pa = plug(machine("A"))
        again = opener.open()
        again.stop()
        assert again.format == first.format
        assert pa.tried == [(rate, 2)]


def test_what_is_captured_of_an_output_is_found_again(
    plug: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = [output("usb", "USB speakers"), output("usb2", "USB headset")]
    monkeypatch.setattr(opening, "pulse_outputs", lambda: outputs)
    monkeypatch.setattr("sys.platform", "linux")
    plug(machine("pulse"))
    opener = source(asked(name="speakers"), loopback=True)
    opener.open().stop()
    outputs.pop(0)
    with pytest.raises(DeviceError):
        opener.open()
    outputs.append(output("usb", "USB speakers"))
    pa = plug(machine("pulse"))
    opener.open().stop()
    assert pa.pulse_sources == ["usb.monitor"]


def output(name: str, description: str) -> PulseOutput:
    return PulseOutput(name=name, description=description)


def test_a_busy_device_is_no_other(plug: Plug) -> None:
    plug(machine("A", "B"))
    opener = SinkOpener(asked(name="B"))
    opener.open(FORMAT).stop()
    plug(machine("A", "B", takes=lambda *_: BUSY))
    with pytest.raises(DeviceError, match="busy"):
        opener.open(FORMAT)
    assert str(opener.had) == "1 'B' (ALSA)"


@pytest.mark.parametrize(
    ("outputs", "rate", "own"),
    [
        (2, 44_100, OwnFormat(44_100, 2)),
        (1, 16_000, OwnFormat(16_000, 1)),
        (8, 96_000, OwnFormat(96_000, 2)),
        (32, 44_100, None),
        (2, 0, None),
    ],
)
def test_the_format_of_a_device(plug: Plug, outputs: int, rate: int, own: OwnFormat | None) -> None:
    """But of a plug-in, which tells what it might be."""
    devices = [device("Other", 0, 2, 2), device("Speakers", 0, 0, outputs, rate)]
    pa = plug(FakePyAudio([("ALSA", 0, 0)], devices))
    assert SinkOpener(asked(name="speakers")).own_format() == own
    assert SinkOpener(asked()).own_format() == OwnFormat(48_000, 2)
    assert pa.terminated == 2 and not pa.streams


def test_a_card_with_many_outputs_is_one_elsewhere(plug: Plug) -> None:
    plug(FakePyAudio([("Core Audio", 0, 0)], [device("Studio", 0, 0, 32, 44_100)]))
    assert SinkOpener(asked()).own_format() == OwnFormat(44_100, 2)


def test_whether_a_device_is_there(plug: Plug) -> None:
    pa = plug(machine("Speakers"))
    SinkOpener(asked(name="speakers")).check()
    with pytest.raises(DeviceError, match="theremin"):
        SinkOpener(asked(name="theremin")).check()
    assert pa.terminated == 2 and not pa.streams


def test_the_format_of_a_device_that_is_not_there(plug: Plug) -> None:
    """It is an error, unless it was there and may come back."""
    opener = SinkOpener(asked(name="Speakers"))
    plug(machine("Other"))
    with pytest.raises(DeviceError, match="Speakers"):
        opener.own_format()
    plug(machine("Speakers"))
    opener.open(FORMAT).stop()
    pa = plug(machine("Other"))
    assert opener.own_format() is None
    assert pa.terminated == 1
