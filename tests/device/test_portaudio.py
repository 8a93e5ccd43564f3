from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from echowarp.device import portaudio
from echowarp.device.portaudio import (
    initialise,
    install_advice,
    load,
    quiet_stderr,
    run_with_timeout,
)
from echowarp.errors import DeviceError
from tests.processes import wait_until


def test_the_binding_loads() -> None:
    assert load().__name__ in ("pyaudio", "pyaudiowpatch")


LOAD = """
import sys
sys.path.insert(0, sys.argv[1])
from echowarp.device import card
from echowarp.errors import DeviceError
assert "pyaudio" not in sys.modules
try:
    card.list_all(None, True)
except DeviceError as error:
    print(error)
"""


def outcome(folder: Path, *flags: str) -> str:
    run = subprocess.run(
        [sys.executable, *flags, "-c", LOAD, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert run.stderr == ""
    assert run.stdout.count("\n") == 1
    return run.stdout


def test_without_pyaudio_the_way_to_it_is_said(tmp_path: Path) -> None:
    said = outcome(tmp_path, "-S")  # without site-packages
    assert "need PyAudio" in said
    assert f"{sys.executable} -m pip install PyAudio" in said


def test_without_portaudio_s_library_the_way_to_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "pyaudio.py").write_text("raise ImportError('libportaudio.so.2: not found')")
    said = outcome(tmp_path)
    assert "libportaudio.so.2: not found" in said
    assert f"{sys.executable} -m pip install PyAudio" in said


def test_the_fork_is_preferred(tmp_path: Path) -> None:
    (tmp_path / "pyaudiowpatch.py").write_text("raise ImportError('the fork')")
    assert "the fork" in outcome(tmp_path)


@pytest.mark.parametrize(
    ("platform", "words"), [("linux", "apt install"), ("darwin", "brew"), ("win32", "pip")]
)
def test_advice_for_each_system(platform: str, words: str) -> None:
    assert words in install_advice(platform)


def test_the_advice_can_be_typed_where_python_lies_in_a_path_with_a_space(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", r"C:\Program Files\Python\python.exe")
    said = r'Install it with: "C:\Program Files\Python\python.exe" -m pip install PyAudio'
    assert install_advice("win32") == said


def test_noise_of_libraries_is_kept_and_logged(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), quiet_stderr():
        os.write(2, b"ALSA lib: cannot find card\n" * 10_000)  # more than a pipe holds
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"
    assert len(caplog.records) == 10_000
    assert caplog.records[0].getMessage() == "PortAudio: ALSA lib: cannot find card"


def test_what_others_write_meanwhile_comes_out(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), quiet_stderr():
        os.write(2, b"12:00:01 a listener left\r\x1b[Kplaying")
        os.write(2, b"Expression 'ret' failed in 'pa_linux_alsa.c', line: 1\n")
    assert capfd.readouterr().err == "12:00:01 a listener left\r\x1b[Kplaying"
    assert len(caplog.records) == 1


def test_standard_error_is_given_back_where_opening_hangs(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portaudio, "_QUIET_S", 0.02)
    with quiet_stderr():
        time.sleep(0.2)
        os.write(2, b"a listener left")
        assert capfd.readouterr().err == "a listener left"


def test_portaudio_does_not_start_while_a_device_is_being_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = threading.Event()
    monkeypatch.setattr(portaudio, "load", lambda: FakeModule)
    assert not run_with_timeout(release.wait, 0.01)
    with pytest.raises(DeviceError, match="closing"):
        initialise()
    release.set()
    wait_until(initialise_works, "it starts")


class FakeModule:
    PyAudio = object


def initialise_works() -> bool:
    try:
        return initialise() is not None
    except DeviceError:
        return False


def test_a_closing_step_that_fails_is_done() -> None:
    def fails() -> None:
        raise OSError("Stream closed")

    assert run_with_timeout(fails, 1)


UNDERRUN = """
import ctypes
from echowarp.device.portaudio import initialise, terminate
pa = initialise()
# Any message of ALSA, here outside the time in which standard error is kept.
print(ctypes.CDLL("libasound.so.2").snd_pcm_open(ctypes.byref(ctypes.c_void_p()), b"nosuch", 0, 0))
terminate(pa)
"""


def test_alsa_stays_quiet_while_running() -> None:
    run = subprocess.run(
        [sys.executable, "-c", UNDERRUN],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "JACK_NO_START_SERVER": "1"},
    )
    assert int(run.stdout) < 0
    assert run.stderr == ""
