from __future__ import annotations

import pytest

from echowarp.device.catalogue import (
    DeviceInfo,
    Want,
    choose,
    format_table,
    list_devices,
    same_outputs,
)
from echowarp.errors import DeviceError
from tests.device.fake_portaudio import (
    FakePyAudio,
    device,
    jack,
    linux,
    mac,
    nothing,
    windows,
)


def devices(pa: FakePyAudio, charset: str | None = "cp1251") -> list[DeviceInfo]:
    return list_devices(pa, charset=charset, repair=True)


def pick(pa: FakePyAudio, want: Want, name: str | None = None, index: int | None = None) -> int:
    return choose(devices(pa), device_id=index, name=name, want=want).index


def refusal(pa: FakePyAudio, want: Want, name: str | None = None, index: int | None = None) -> str:
    with pytest.raises(DeviceError) as caught:
        pick(pa, want, name, index)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_everything_about_a_device() -> None:
    assert devices(jack())[0] == DeviceInfo(
        index=0,
        name="system",
        host_api="JACK Audio Connection Kit",
        inputs=2,
        outputs=2,
        default_rate=48000,
        is_default_input=True,
        is_default_output=True,
        is_loopback=False,
    )


def test_wasapi_has_the_default_where_host_apis_differ() -> None:
    found = devices(windows(fork=False))
    assert [each.index for each in found if each.is_default_input] == [5]
    assert [each.index for each in found if each.is_default_output] == [3]


def test_wasapi_without_devices_leaves_the_default_to_others() -> None:
    pa = windows(fork=False)
    pa.apis[2] = ("Windows WASAPI", -1, -1)
    found = devices(pa)
    assert [each.index for each in found if each.is_default_input] == [0]
    assert [each.index for each in found if each.is_default_output] == [1]


def test_names_are_mended_or_left() -> None:
    pa = windows(fork=False)
    assert devices(pa)[5].name == "Микрофон (Realtek)"
    left = list_devices(pa, charset="cp1251", repair=False)[5].name
    assert left == pa.devices[5]["name"]
    raw = FakePyAudio([("ALSA", 0, 0)], [device(b"caf\xe9", 0, 2, 2)])
    assert list_devices(raw, charset="latin-1", repair=False)[0].name == "caf\\xe9"
    assert devices(raw, "latin-1")[0].name == "café"


@pytest.mark.parametrize(
    ("pa", "loopbacks"),
    [
        (windows(fork=False), []),
        (windows(fork=True), [6, 7]),
        (mac(blackhole=False), []),
        (mac(blackhole=True), [2]),
        (linux(pulse=True), []),
        (FakePyAudio([("PulseAudio", 0, 0)], [device("Monitor of Speakers", 0, 2, 0)]), [0]),
        (FakePyAudio([("ALSA", 0, 0)], [device("Monitor Speakers", 0, 0, 2)]), []),
    ],
)
def test_devices_that_hear_an_output(pa: FakePyAudio, loopbacks: list[int]) -> None:
    assert [each.index for each in devices(pa) if each.is_loopback] == loopbacks


def test_choosing() -> None:
    assert pick(windows(fork=False), "input") == 5
    assert pick(windows(fork=False), "output") == 3
    assert pick(windows(fork=False), "output", index=2) == 2
    assert pick(windows(fork=False), "input", "микрофон") == 5
    assert pick(windows(fork=False), "output", "hdmi") == 4
    assert pick(windows(fork=True), "loopback", "speakers") == 7
    assert pick(linux(pulse=True), "output") == 2
    assert pick(jack(), "input", "fire") == 1


def test_one_card_behind_several_host_apis_is_not_ambiguous() -> None:
    pa = windows(fork=False)
    assert pick(pa, "output", "speakers (realtek high definition audio)") == 3


def test_a_full_name_is_not_ambiguous() -> None:
    assert pick(linux(pulse=True), "input", "default") == 2
    assert "matches 1 'sysdefault' (ALSA), 2 'default' (ALSA)" in refusal(
        linux(pulse=True), "input", "defaul"
    )


def test_two_cards_of_one_name_are_ambiguous() -> None:
    twins = FakePyAudio([("ALSA", 0, 0)], [device("USB", 0, 2, 2), device("USB", 0, 2, 2)])
    assert "matches 0 'USB' (ALSA), 1 'USB' (ALSA)" in refusal(twins, "input", "usb")


def test_one_card_as_other_host_apis_show_it() -> None:
    """Also under the name that MME cuts off, and only where it is the only one."""
    pa = windows(fork=False)

    def others(index: int) -> list[int]:
        return [each.index for each in same_outputs(devices(pa), devices(pa)[index])]

    assert [others(index) for index in (1, 2, 3, 4)] == [[2, 3], [1, 3], [1, 2], []]
    pa.devices.append(pa.devices[2])
    assert others(3) == [1]
    pa.devices[1] = {**pa.devices[1], "name": "Speakers"}
    assert others(3) == []


def test_refusals() -> None:
    assert "no audio devices were found" in refusal(nothing(), "input")
    assert "there is no device 7; --list_devices shows those from 0 to 1" in refusal(
        jack(), "input", index=7
    )
    assert "there is no device -1" in refusal(jack(), "input", index=-1)
    assert "1 'Firefox' (JACK Audio Connection Kit) has no outputs" in refusal(
        jack(), "output", index=1
    )
    assert "has no outputs; there is 0 'system'" in refusal(jack(), "output", "firefox")
    assert "no input device has 'usb' in its name; there is 0 'system'" in refusal(
        jack(), "input", "usb"
    )
    assert "does not hear" in refusal(mac(blackhole=True), "loopback", index=0)
    no_default = FakePyAudio([("ALSA", -1, -1)], [device("hw", 0, 2, 2)])
    assert "no default input device; choose one with --device: 0 'hw'" in refusal(
        no_default, "input"
    )


def test_the_table() -> None:
    lines = format_table(devices(windows(fork=True))).splitlines()
    assert lines[0].split() == ["index", "name", "host", "API", "in", "out", "rate", "notes"]
    assert lines[4].startswith(" <")
    assert lines[4].endswith("48000  default output")
    assert lines[6].startswith("> ")
    assert "Микрофон (Realtek)" in lines[6]
    assert lines[8].endswith("hears an output (-o)")
    column = lines[0].index("host API")
    assert all(line[column - 2 : column] == "  " for line in lines)
    assert format_table([]) == "No audio devices were found."


def test_the_table_keeps_its_lines() -> None:
    pa = FakePyAudio([("WDM-KS", 0, 0)], [device("Output (\r\n;(Phone))", 0, 2, 2)])
    table = format_table(list_devices(pa, charset=None, repair=False))
    assert len(table.splitlines()) == 2
