from __future__ import annotations

import ctypes
import logging
from typing import Any

import pytest

from echowarp.device import default_device
from echowarp.device.catalogue import Want
from echowarp.device.default_device import DefaultWatch, mac_default, make_watch, windows_default


def test_a_default_that_changes() -> None:
    said: list[str | None] = ["A", "A", None, "B", "B", "A"]
    watch = DefaultWatch(lambda: said.pop(0))
    watch.opened()
    assert watch.look() is None
    assert watch.look() is None  # not known for a moment
    reason = watch.look()
    assert reason is not None
    assert reason.is_move
    assert watch.look() is None
    assert watch.look() is not None
    watch.close()


def test_a_default_that_becomes_known() -> None:
    said: list[str | None] = [None, "A", "B"]
    watch = DefaultWatch(lambda: said.pop(0))
    watch.opened()
    assert watch.look() is None
    assert watch.look() is not None


class CoreAudio:
    """Stands in for macOS' library."""

    def __init__(self, *, status: int = 0, devices: dict[bytes, int]) -> None:
        self.status = status
        self.devices = devices

    def AudioObjectGetPropertyData(
        self, number: Any, address: Any, _0: Any, _1: None, size: Any, out: Any
    ) -> int:
        assert number.value == 1
        assert size._obj.value == 4
        asked = address._obj
        assert (asked.scope.to_bytes(4, "big"), asked.element) == (b"glob", 0)
        out._obj.value = self.devices[asked.selector.to_bytes(4, "big")]
        return self.status


def test_macos() -> None:
    library = CoreAudio(devices={b"dIn ": 41, b"dOut": 0})
    assert mac_default(library, "input") == "41"
    assert mac_default(library, "output") is None
    assert mac_default(CoreAudio(status=-50, devices={b"dIn ": 41}), "input") is None


class Winmm:
    """Stands in for Windows' library."""

    def __init__(self, *, preferred: int = 1, message_fails: int = 0) -> None:
        self.preferred = preferred
        self.message_fails = message_fails
        self.names = ["Mapper", "Lautsprecher (Größe)" + "x" * 11]

    def _message(self, mapper: Any, message: Any, number: Any, flags: Any) -> int:
        assert (mapper.value, message.value) == (0xFFFFFFFF, 0x2015)
        number._obj.value = self.preferred
        return self.message_fails

    def _describe(self, number: Any, caps: Any, size: int) -> int:
        assert size == ctypes.sizeof(caps._obj)
        text = self.names[number.value].encode("utf-16-le")
        caps._obj.name[: len(text) // 2] = memoryview(text).cast("H").tolist()
        return 0

    waveInMessage = waveOutMessage = _message
    waveInGetDevCapsW = waveOutGetDevCapsW = _describe


@pytest.mark.parametrize("want", ["input", "output", "loopback"])
def test_windows(want: Want) -> None:
    assert windows_default(Winmm(), want) == "Lautsprecher (Größe)" + "x" * 11
    assert windows_default(Winmm(preferred=0), want) == "Mapper"
    assert windows_default(Winmm(preferred=0xFFFFFFFF), want) is None
    assert windows_default(Winmm(message_fails=8), want) is None


def test_windows_structures_are_those_of_its_headers() -> None:
    assert ctypes.sizeof(default_device._InCaps) == 80
    assert ctypes.sizeof(default_device._OutCaps) == 84


@pytest.mark.parametrize("platform", ["linux", "freebsd14", "darwin", "win32"])
def test_where_nothing_tells_the_default_one_line_says_so(
    platform: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("echowarp.device.pulse_watch.is_there", lambda: False)
    with caplog.at_level(logging.WARNING):
        assert make_watch("input", is_default=True, follows=True, platform=platform) is None
        assert make_watch("input", is_default=False, follows=False, platform=platform) is None
    assert len(caplog.messages) == 1
    assert "cannot be followed here" in caplog.messages[0]


def test_what_needs_no_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("echowarp.device.pulse_watch.is_there", lambda: pytest.fail("asked"))
    assert make_watch("input", is_default=True, follows=False, platform="linux") is None
    assert make_watch("output", is_default=True, follows=False, platform="linux") is None
