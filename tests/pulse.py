"""A private PulseAudio with four PortAudio devices, for tests that need real ones.

mic    input   what was played into feed
feed   output  plays into the microphone
spk    output  the loudspeaker, the default
tap    input   hears the loudspeaker
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PID = "PULSE_DAEMON_PID"
"""The key of the environment that holds the daemon's process id."""

_START_S = 10.0

_DEVICES = """\
pcm.mic  { type pulse device "cap.monitor" }
pcm.feed { type pulse device "cap" }
pcm.spk  { type pulse device "play" }
pcm.tap  { type pulse device "play.monitor" }
pcm.!default { type pulse }
"""


_SETTINGS = "rlimit-rttime = -1\n"
"""The daemon would set itself a limit that kills it after 0.2 s before others."""

_SINK = "rate=48000 channels=2 format=s16le norewinds=1"
"""Without rewinds a null sink works in steps of 50 ms; with them an idle one first finishes
two seconds of silence."""


@contextlib.contextmanager
def private_pulse() -> Iterator[dict[str, str]]:
    """Runs the daemon; gives the whole environment for processes that are to use it.

    Fails, and does not skip, where PulseAudio is not installed.
    """
    missing = [name for name in ("pulseaudio", "pactl", "pacat") if shutil.which(name) is None]
    if missing:
        raise RuntimeError(
            f"device tests need {', '.join(missing)}:"
            " apt install pulseaudio pulseaudio-utils libasound2-plugins"
        )
    with tempfile.TemporaryDirectory(prefix="pulse-") as folder:
        env = _environment(folder)
        Path(folder, ".asoundrc").write_text(_DEVICES)
        settings = Path(folder, ".config", "pulse", "daemon.conf")
        settings.parent.mkdir(parents=True)
        settings.write_text(_SETTINGS)
        with run_daemon(env) as daemon:
            yield {**env, PID: str(daemon.pid)}


@contextlib.contextmanager
def run_daemon(env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Runs the daemon of that environment, also again after one that was killed."""
    folder = env["HOME"]
    said = Path(folder, "pulse.log")
    with said.open("wb") as log:
        daemon = subprocess.Popen(_command(folder), env=env, stdout=log, stderr=log)
    try:
        _wait_until_ready(env, daemon, said)
        _raise_priority_of(daemon.pid)
        pactl(env, "set-default-source", "cap.monitor")
        pactl(env, "set-default-sink", "play")
        yield daemon
        # Tests end it by SIGKILL, which it does not send to itself.
        if daemon.poll() not in (None, -signal.SIGKILL):
            raise RuntimeError(f"pulseaudio has ended by itself: {said.read_text()}")
    finally:
        daemon.kill()
        daemon.wait()


def pactl(env: dict[str, str], *arguments: str) -> str:
    """What `pactl` answers."""
    run = subprocess.run(
        ["pactl", *arguments], env=env, check=True, stdout=subprocess.PIPE, text=True
    )
    return run.stdout


def unplug(env: dict[str, str], sink: str) -> None:
    """Takes a sink and its monitor away."""
    for line in pactl(env, "list", "short", "modules").splitlines():
        if f"sink_name={sink} " in line:
            pactl(env, "unload-module", line.split()[0])


def plug_in(env: dict[str, str], sink: str) -> None:
    """Makes that sink, as it was."""
    pactl(env, "load-module", "module-null-sink", f"sink_name={sink}", *_SINK.split())


def raise_priority() -> None:
    """Puts this thread and those it starts before others, where a system has that
    and allows it: other work on the machine is then no gap in the sound."""
    if not hasattr(os, "sched_setscheduler"):
        return
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


def _raise_priority_of(daemon: int) -> None:
    """Does it for the daemon, which gives up at its start what it was started with."""
    with contextlib.suppress(PermissionError):
        for thread in os.listdir(f"/proc/{daemon}/task"):
            os.sched_setscheduler(int(thread), os.SCHED_RR, os.sched_param(1))


def _environment(folder: str) -> dict[str, str]:
    ours = {
        "HOME": folder,
        "XDG_RUNTIME_DIR": folder,
        "PULSE_RUNTIME_PATH": folder,
        "PULSE_SERVER": f"unix:{folder}/native",
        "JACK_NO_START_SERVER": "1",
    }
    theirs = {key: value for key, value in os.environ.items() if not key.startswith("PULSE_")}
    return {**theirs, **ours}


def _command(folder: str) -> list[str]:
    return [
        "pulseaudio",
        "-n",
        "--daemonize=no",
        "--use-pid-file=no",
        "--exit-idle-time=-1",
        "--disallow-exit",
        "--high-priority=no",
        "--realtime=no",
        "-L",
        f"module-native-protocol-unix auth-anonymous=1 socket={folder}/native",
        "-L",
        f"module-null-sink sink_name=cap {_SINK}",
        "-L",
        f"module-null-sink sink_name=play {_SINK}",
    ]


def _wait_until_ready(env: dict[str, str], daemon: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _START_S
    while subprocess.run(["pactl", "info"], env=env, capture_output=True).returncode:
        if daemon.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"pulseaudio does not start: {log.read_text()}")
        time.sleep(0.05)
