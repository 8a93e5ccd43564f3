"""Which device the system calls its default: PortAudio tells only what it was at start."""

from __future__ import annotations

import ctypes
import logging
import sys
from collections.abc import Callable
from typing import Any

from echowarp.device import pulse_watch
from echowarp.device.catalogue import Want
from echowarp.device.pulse_watch import Changes, PulseWatch
from echowarp.device.seams import Reason, Watch

_log = logging.getLogger(__name__)

_CORE_AUDIO = "/System/Library/Frameworks/CoreAudio.framework/CoreAudio"
_MAC_SYSTEM_OBJECT = 1
_MAC_MAIN_ELEMENT = 0

_MAPPER = 0xFFFFFFFF
_MAPPER_PREFERRED_GET = 0x2015
"""WAVE_MAPPER and DRVM_MAPPER_PREFERRED_GET of Windows' mmeapi.h and mmddk.h."""

_NAME_CHARACTERS = 32


class DefaultWatch:
    """Follows the default by asking for it. ask(): a name for it, None where unknown."""

    def __init__(self, ask: Callable[[], str | None]) -> None:
        self._ask = ask
        self._known: str | None = None

    def opened(self) -> None:
        """Notes the default."""
        self._known = self._ask()

    def look(self) -> Reason | None:
        """Whether it has changed."""
        known, now = self._known, self._ask()
        if now is None or now == known:
            return None
        self._known = now
        if known is None:
            return None
        return Reason("the default device has changed: following it", is_move=True)

    def close(self) -> None:
        """Nothing is open."""


def make_watch(
    want: Want, *, is_default: bool, follows: bool, platform: str = sys.platform
) -> Watch | None:
    """What must be watched about a device while it is open, None for nothing.

    is_default: no device was named; follows: the default is to be followed, and a warning
    says where that cannot be.
    """
    watch: Watch | None = None
    if platform.startswith("linux"):
        guards = want == "loopback" or not is_default
        if (guards or follows) and pulse_watch.is_there():
            watch = PulseWatch(want, guards=guards, follows=follows, changes=Changes())
    elif follows:
        ask = _asks(want, platform)
        if ask is not None and ask() is not None:
            watch = DefaultWatch(ask)
    if follows and watch is None:
        _log.warning("the default device cannot be followed here: the system does not tell it")
    return watch


def _asks(want: Want, platform: str) -> Callable[[], str | None] | None:
    try:
        if platform == "win32":
            winmm = ctypes.WinDLL("winmm")  # type: ignore[attr-defined]
            return lambda: windows_default(winmm, want)
        if platform == "darwin" and want != "loopback":
            core_audio = ctypes.CDLL(_CORE_AUDIO)
            return lambda: mac_default(core_audio, want)
    except (OSError, AttributeError):
        return None
    return None


class _Address(ctypes.Structure):
    """AudioObjectPropertyAddress of CoreAudio's AudioHardwareBase.h."""

    _fields_ = (
        ("selector", ctypes.c_uint32),
        ("scope", ctypes.c_uint32),
        ("element", ctypes.c_uint32),
    )


def _four(code: bytes) -> int:
    return int.from_bytes(code, "big")


def mac_default(core_audio: Any, want: Want) -> str | None:
    """The number of the default device, which it keeps while it is connected.

    core_audio: the library, or what stands in for it.
    """
    selector = _four(b"dIn " if want == "input" else b"dOut")
    address = _Address(selector, _four(b"glob"), _MAC_MAIN_ELEMENT)
    device, size = ctypes.c_uint32(0), ctypes.c_uint32(4)
    status = core_audio.AudioObjectGetPropertyData(
        ctypes.c_uint32(_MAC_SYSTEM_OBJECT),
        ctypes.byref(address),
        ctypes.c_uint32(0),
        None,
        ctypes.byref(size),
        ctypes.byref(device),
    )
    return str(device.value) if status == 0 and device.value else None


class _InCaps(ctypes.Structure):
    """WAVEINCAPSW of Windows' mmeapi.h."""

    _fields_ = (
        ("manufacturer", ctypes.c_uint16),
        ("product", ctypes.c_uint16),
        ("version", ctypes.c_uint32),
        ("name", ctypes.c_uint16 * _NAME_CHARACTERS),
        ("formats", ctypes.c_uint32),
        ("channels", ctypes.c_uint16),
        ("reserved", ctypes.c_uint16),
    )


class _OutCaps(ctypes.Structure):
    """WAVEOUTCAPSW of Windows' mmeapi.h."""

    _fields_ = (*_InCaps._fields_, ("support", ctypes.c_uint32))


def windows_default(winmm: Any, want: Want) -> str | None:
    """The name of the default device, cut off as Windows MME does.

    winmm: the library, or what stands in for it.
    """
    is_input = want == "input"
    message = winmm.waveInMessage if is_input else winmm.waveOutMessage
    describe = winmm.waveInGetDevCapsW if is_input else winmm.waveOutGetDevCapsW
    caps = _InCaps() if is_input else _OutCaps()
    number, flags = ctypes.c_uint32(_MAPPER), ctypes.c_uint32(0)
    failed = message(
        ctypes.c_void_p(_MAPPER),
        ctypes.c_uint(_MAPPER_PREFERRED_GET),
        ctypes.byref(number),
        ctypes.byref(flags),
    )
    if failed or number.value == _MAPPER:
        return None
    failed = describe(ctypes.c_size_t(number.value), ctypes.byref(caps), ctypes.sizeof(caps))
    if failed:
        return None
    return bytes(caps.name).decode("utf-16-le", "replace").partition("\0")[0] or None
