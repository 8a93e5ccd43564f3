"""What PulseAudio or PipeWire tells of its devices, asked through `pactl`.

When a device goes, the sound server may hand whoever used it another one, without a word:
another microphone is heard, or the sound comes out elsewhere. And a monitor that is
captured as the default's stays where it was when the default changes.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable

from echowarp.device.catalogue import Want
from echowarp.device.seams import Reason

_TIMEOUT_S = 3.0
_RESTART_S = 2.0
"""Between two attempts to hear of changes from a sound server that has ended."""

_TOLD = re.compile(rb"'(new|remove|change)' on (sink|source|server)\b")
"""The changes that matter; those of streams come by the dozen."""


def pactl(*arguments: str) -> str | None:
    """What `pactl` answers, None where it cannot be asked."""
    try:
        answer = subprocess.run(
            ["pactl", *arguments],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.decode("utf-8", "replace")


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C.UTF-8"}


def is_there() -> bool:
    """Whether a sound server answers."""
    return shutil.which("pactl") is not None and pactl("info") is not None


def default_in(info: str, want: Want) -> str | None:
    """The default source or sink, or that sink's monitor, in the words of `pactl info`."""
    kind = "Source" if want == "input" else "Sink"
    found = re.search(rf"^Default {kind}: (\S+)$", info, re.MULTILINE)
    if found is None:
        return None
    return f"{found[1]}.monitor" if want == "loopback" else found[1]


def stream_in(streams: str, pid: int) -> int | None:
    """The index of the device that a stream of this process is connected to, in the words
    of `pactl list sink-inputs` or `source-outputs`."""
    for part in re.split(r"\n(?=\S)", streams):
        if f'application.process.id = "{pid}"' in part:
            found = re.search(r"^\s*(?:Sink|Source): (\d+)$", part, re.MULTILINE)
            return None if found is None else int(found[1])
    return None


def names_in(short: str) -> dict[int, str]:
    """Index and name of each device, in the words of `pactl list short sinks`."""
    rows = (line.split("\t") for line in short.splitlines())
    return {int(row[0]): row[1] for row in rows if len(row) > 1 and row[0].isdigit()}


class Changes:
    """Hears of the sound server's changes, from a process that runs as long as this."""

    def __init__(self) -> None:
        self._closed = threading.Event()
        self._changed = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="sound server", daemon=True)
        self._thread.start()

    def take(self) -> bool:
        """Whether anything has changed since this was asked last."""
        changed = self._changed.is_set()
        self._changed.clear()
        return changed

    def close(self) -> None:
        """Ends the process. Idempotent."""
        self._closed.set()
        process = self._process
        if process is not None:
            process.kill()
        self._thread.join()

    def _run(self) -> None:
        while not self._closed.is_set():
            # pactl ends together with the sound server.
            with contextlib.suppress(OSError):
                self._listen()
            self._changed.set()
            self._closed.wait(_RESTART_S)

    def _listen(self) -> None:
        with subprocess.Popen(
            ["pactl", "subscribe"],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            self._process = process
            if self._closed.is_set():
                process.kill()
            assert process.stdout is not None
            for line in process.stdout:
                if _TOLD.search(line):
                    self._changed.set()


class PulseWatch:
    """Watches the sound server's default, and whether the device is still there.

    want: what it is for; guards: no other may stand in for it; follows: the default is to
    be followed; ask: `pactl`; changes: owned.
    """

    def __init__(
        self,
        want: Want,
        *,
        guards: bool,
        follows: bool,
        changes: Changes,
        ask: Callable[..., str | None] = pactl,
    ) -> None:
        self._want = want
        self._guards = guards
        self._follows = follows
        self._changes = changes
        self._ask = ask
        self._default: str | None = None
        self._device: int | None = None

    def opened(self) -> None:
        """Notes the default, and the device that this process is connected to."""
        self._default = default_in(self._ask("info") or "", self._want)
        self._device = self._connected()

    def look(self) -> Reason | None:
        """Why the device must be opened anew. Costs nothing while nothing changes."""
        if not self._changes.take():
            return None
        short = self._ask("list", "short", "sinks" if self._want == "output" else "sources")
        default = default_in(self._ask("info") or "", self._want)
        if short is None or default is None:
            return None  # the server has ended, and the stream with it
        devices = names_in(short)
        if self._follows and default != self._default:
            self._default = default
            self._device = self._connected()
            # The server may have moved the stream by itself.
            if devices.get(-1 if self._device is None else self._device) != default:
                return Reason(f"the default device is now {default}: following it", is_move=True)
        if self._guards and self._device is not None and self._device not in devices:
            return Reason(None, is_move=False)
        return None

    def close(self) -> None:
        """Ends the watch. Idempotent."""
        self._changes.close()

    def _connected(self) -> int | None:
        kind = "sink-inputs" if self._want == "output" else "source-outputs"
        return stream_in(self._ask("list", kind) or "", os.getpid())
