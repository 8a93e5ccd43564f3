"""Loads PortAudio's Python binding, only when a device is really asked for."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import importlib.util
import logging
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from echowarp.errors import DeviceError

_log = logging.getLogger(__name__)

_BINDINGS = ("pyaudiowpatch", "pyaudio")
"""In order of preference: the first is PyAudio with WASAPI loopback (Windows only)."""

PA_INT16 = 0x8
PA_CONTINUE, PA_ABORT = 0, 2
PA_INPUT_OVERFLOW = 0x2
PA_DEVICE_UNAVAILABLE = -9985
"""Constants of PortAudio's C interface (portaudio.h), the same in every binding."""

_QUIET_S = 2.0
"""How long standard error may be kept: opening a device may hang."""

_NOISE = re.compile(
    r"(?:Expression '|ALSA lib|jack server|JackShm|JackServer|Cannot connect to server"
    r"|connect\(2\) call to|attempt to connect to server|\|\|PaMacCore)[^\n]*\n?"
)
"""How the lines of PortAudio and the libraries below it begin, on standard error."""

_TERMINATE_S = 1.0
"""PortAudio may wait for ever for a sound server that died; the program must not."""


def load() -> ModuleType:
    """The PyAudio module, or the fork PyAudioWPatch where the user installed that.

    Raises DeviceError that says what to install.
    """
    name = next((each for each in _BINDINGS if importlib.util.find_spec(each)), None)
    if name is None:
        raise DeviceError(f"audio devices need PyAudio. {install_advice(sys.platform)}")
    try:
        return importlib.import_module(name)
    except ImportError as error:  # it is there, but its PortAudio library is not
        raise DeviceError(
            f"audio devices need PyAudio, which cannot be loaded ({error})."
            f" {install_advice(sys.platform)}"
        ) from error


def install_advice(platform: str) -> str:
    """What to type on this system (`sys.platform`) to get PyAudio for this Python."""
    python = f'"{sys.executable}"' if " " in sys.executable else sys.executable
    pip = f"{python} -m pip install PyAudio"
    if platform == "darwin":
        return f"Install it with: brew install portaudio && {pip}"
    if platform == "win32":
        return f"Install it with: {pip}"
    return (
        "Install it with: apt install portaudio19-dev gcc python3-dev"
        f" (Fedora: dnf install portaudio-devel gcc python3-devel), then: {pip}"
    )


@contextlib.contextmanager
def open_portaudio() -> Iterator[Any]:
    """An initialised PyAudio object for a short look, terminated at the end."""
    pa = initialise()
    try:
        yield pa
    finally:
        terminate(pa)


def initialise() -> Any:
    """A new PyAudio object; whoever asks for it calls `terminate`.

    Raises DeviceError.
    """
    module = load()
    if any(thread.is_alive() for thread in _left_behind):
        # It is not safe in two threads, and would still show the devices of before.
        raise DeviceError("PortAudio is still busy closing a device")
    _left_behind.clear()
    _hush_alsa()
    try:
        with quiet_stderr():
            return module.PyAudio()
    except OSError as error:
        raise DeviceError(f"PortAudio cannot start: {error}") from error


def terminate(pa: Any) -> None:
    """Ends a PyAudio object and its streams; gives up on one that hangs."""
    run_with_timeout(pa.terminate, _TERMINATE_S)


_left_behind: list[threading.Thread] = []
"""Closing steps that had not come to an end in time."""


def run_with_timeout(work: Callable[[], object], timeout_s: float) -> bool:
    """Runs a closing step that may hang, on a thread that is left behind if it does.

    Returns whether it came to an end.
    """

    def attempt() -> None:
        try:
            work()
        except Exception as error:  # the top of a thread; a device that is gone anyway
            _log.debug("closing an audio device: %s", error)

    thread = threading.Thread(target=attempt, name="closing audio device", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if not thread.is_alive():
        return True
    _left_behind.append(thread)
    _log.debug("closing an audio device took more than %g s and was left", timeout_s)
    return False


_AlsaHandler = ctypes.CFUNCTYPE(
    None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p
)


def _log_alsa(
    file: bytes | None, line: int, function: bytes | None, error: int, text: bytes | None
) -> None:
    # The arguments of `text` are out of reach of ctypes.
    _log.debug("ALSA: %s: %s", (function or b"").decode(), (text or b"").decode())


_alsa_handler = _AlsaHandler(_log_alsa)
"""Kept here: ALSA holds a pointer to it as long as the process lives."""


def _hush_alsa() -> None:
    """Has ALSA log at DEBUG what it would write over the live line at every underrun."""
    if not sys.platform.startswith("linux"):
        return
    try:
        alsa = ctypes.CDLL("libasound.so.2")
    except OSError:  # a PortAudio without ALSA
        return
    alsa.snd_lib_error_set_handler(_alsa_handler)


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keeps the lines that C libraries write to file descriptor 2 and logs them at DEBUG.

    What others write meanwhile comes out at the end.
    """
    try:
        saved, kept = os.dup(2), tempfile.TemporaryFile()  # noqa: SIM115
    except OSError:  # no standard error at all, or no room to keep what it says
        yield
        return
    hung = threading.Timer(_QUIET_S, os.dup2, (saved, 2))
    hung.daemon = True
    with kept as noise:
        os.dup2(noise.fileno(), 2)
        hung.start()
        try:
            yield
        finally:
            hung.cancel()
            hung.join()
            os.dup2(saved, 2)
            os.close(saved)
            noise.seek(0)
            text = noise.read().decode("utf-8", "replace")
            for line in _NOISE.findall(text):
                _log.debug("PortAudio: %s", line.rstrip())
            _write_all(_NOISE.sub("", text).encode())


def _write_all(data: bytes) -> None:
    with contextlib.suppress(OSError):  # whoever read it has gone: nobody is left to tell
        while data:
            data = data[os.write(2, data) :]
