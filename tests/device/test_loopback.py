from __future__ import annotations

import pytest

from echowarp.device.catalogue import DeviceInfo, list_devices
from echowarp.device.loopback import PulseOutput, choose_loopback, parse_outputs
from echowarp.errors import DeviceError
from tests.device.fake_portaudio import FakePyAudio, linux, mac, windows

OUTPUTS = [
    PulseOutput(name="alsa_output.pci.analog", description="Built-in Audio Analog Stereo"),
    PulseOutput(name="alsa_output.usb", description="USB Kopfhörer"),
    PulseOutput(name="usb_extra", description="USB Kopfhörer 2"),
]


def pick(
    pa: FakePyAudio, platform: str, name: str | None = None, index: int | None = None
) -> DeviceInfo:
    return choose_loopback(
        list_devices(pa, charset=None, repair=True),
        device_id=index,
        name=name,
        platform=platform,
        outputs=OUTPUTS if platform == "linux" else [],
    )


def refusal(
    pa: FakePyAudio, platform: str, name: str | None = None, index: int | None = None
) -> str:
    with pytest.raises(DeviceError) as caught:
        pick(pa, platform, name, index)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "index", "source"),
    [
        (None, None, "@DEFAULT_MONITOR@"),
        (None, 2, "@DEFAULT_MONITOR@"),
        (None, 3, "@DEFAULT_MONITOR@"),
        ("default", None, "@DEFAULT_MONITOR@"),
        ("built-in", None, "alsa_output.pci.analog.monitor"),
        ("alsa_output.usb", None, "alsa_output.usb.monitor"),
        ("usb kopfhörer", None, "alsa_output.usb.monitor"),
        ("Kopfhörer 2", None, "usb_extra.monitor"),
    ],
)
def test_linux_through_the_sound_server(name: str | None, index: int | None, source: str) -> None:
    found = pick(linux(pulse=True), "linux", name, index)
    assert (found.index, found.pulse_source, found.is_loopback) == (3, source, True)


def test_linux_refusals() -> None:
    assert "libasound2-plugins" in refusal(linux(pulse=False), "linux")
    assert "libasound2-plugins" in refusal(linux(pulse=False), "linux", "built-in")
    ambiguous = refusal(linux(pulse=True), "linux", "usb")
    assert "'USB Kopfhörer' (alsa_output.usb), 'USB Kopfhörer 2' (usb_extra)" in ambiguous
    assert "no output has 'hdmi' in its name; there is 'Built-in" in refusal(
        linux(pulse=True), "linux", "hdmi"
    )
    assert "no output has 'HDA Intel" in refusal(linux(pulse=True), "linux", index=0)
    assert "there is no device 99" in refusal(linux(pulse=True), "linux", index=99)


def test_windows_with_the_fork() -> None:
    pa = windows(fork=True)
    assert pick(pa, "win32").index == 7  # what the default output plays
    assert pick(pa, "win32", "hdmi").index == 6
    assert pick(pa, "win32", index=6).index == 6
    assert pick(pa, "win32", index=3).index == 7  # the output that it hears
    assert pick(pa, "win32", index=1).index == 7  # whose name MME cut short
    assert pick(pa, "win32").pulse_source is None
    assert "6 'HDMI (Intel Display Audio) [Loopback]'" in refusal(pa, "win32", "usb")


def test_windows_without_it_says_what_to_install() -> None:
    for name in (None, "speakers"):
        assert "pip install PyAudioWPatch" in refusal(windows(fork=False), "win32", name)


def test_macos() -> None:
    assert pick(mac(blackhole=True), "darwin").index == 2
    assert pick(mac(blackhole=True), "darwin", "blackhole").index == 2
    assert "blackhole-2ch" in refusal(mac(blackhole=False), "darwin")
    assert "blackhole-2ch" in refusal(mac(blackhole=False), "darwin", index=1)


def test_what_pactl_prints() -> None:
    text = (
        "Sink #0\n\tState: IDLE\n\tName: alsa_output.usb\n\tDescription: USB Kopfhörer: 2\n"
        '\tDriver: x\n\tProperties:\n\t\tdevice.description = "USB"\n\n'
        "Sink #1\n\tState: RUNNING\n\tName: cap\n\tDescription: \n"
    )
    assert parse_outputs(text) == [
        PulseOutput(name="alsa_output.usb", description="USB Kopfhörer: 2"),
        PulseOutput(name="cap", description=""),
    ]
    assert parse_outputs("") == []
