"""Keys on a pseudo-terminal, with a process that has it as its controlling terminal."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import wait_until

ROOT = Path(__file__).resolve().parents[2]
LINE_MODES = termios.ICANON | termios.ECHO
COMMAND = [sys.executable, "-m", "tests.ui.keyboard"]
SHELL = """
import fcntl, os, signal, subprocess, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
job = subprocess.Popen(sys.argv[3:], preexec_fn=lambda: (
    os.setpgid(0, 0), signal.signal(signal.SIGTTOU, signal.SIG_DFL)))
print("job", job.pid, flush=True)
while True:
    line = os.read(int(sys.argv[1]), 100).decode().split()
    if not line:
        break
    if line[0] == "fg":
        os.tcsetpgrp(0, job.pid)
        os.killpg(job.pid, signal.SIGCONT)
    if line[0] == "bg":
        os.tcsetpgrp(0, os.getpgrp())
        os.killpg(job.pid, signal.SIGCONT)
    os.write(int(sys.argv[2]), b"!")
"""
"""As much of a shell with job control as is needed: it runs one job, in the background
until told otherwise. That it has obeyed it says by a way that the job does not write to."""


class Desk:
    """A terminal with a shell of ours and one job."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        orders, self._orders = os.pipe()
        self._answers, answers = os.pipe()
        self._all, self._begin = "", 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        self.process = subprocess.Popen(
            [sys.executable, "-c", SHELL, str(orders), str(answers), *COMMAND],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            pass_fds=[orders, answers],
            start_new_session=True,
        )
        os.close(orders)
        os.close(answers)
        self.shows("ready")
        self.job = int(self.shown.partition("job ")[2].split()[0])

    def _read(self) -> None:
        try:
            while data := os.read(self.master, 4096):
                self._all += data.decode()
        except OSError:
            return

    @property
    def shown(self) -> str:
        """What has come since the last order."""
        return self._all[self._begin :]

    def shows(self, text: str) -> None:
        wait_until(lambda: text in self.shown, f"{text!r} is shown in {self.shown!r}")

    def order(self, order: str) -> None:
        self._begin = len(self._all)
        os.write(self._orders, order.encode())
        assert os.read(self._answers, 1) == b"!", "the shell has ended"

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    @property
    def in_line_mode(self) -> bool:
        modes: int = termios.tcgetattr(self.slave)[3]
        return modes & LINE_MODES == LINE_MODES

    def takes_keys(self) -> None:
        wait_until(lambda: not self.in_line_mode, "it takes keys")

    def state(self) -> str:
        """What Linux says of the job: S sleeps, T is stopped, Z has ended."""
        text = Path(f"/proc/{self.job}/stat").read_text()
        return text.rpartition(")")[2].split()[0]

    def close(self) -> None:
        if self.state() != "Z":
            os.kill(self.job, signal.SIGKILL)
        os.close(self._orders)
        os.close(self._answers)
        self.process.wait(20)
        os.close(self.slave)
        self._thread.join(5)
        os.close(self.master)


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.close()


def test_keys_act_without_enter_and_are_not_echoed(desk: Desk) -> None:
    modes = termios.tcgetattr(desk.slave)
    desk.order("fg")
    desk.takes_keys()
    desk.press("V+=")
    desk.shows("<'V+='>")
    # Arrows, function keys, Alt with a letter, Home in its other spelling, then a key.
    desk.press("\x1b[A\x1b[1;5C\x1bOP\x1b[15~\x1bq\x1bOH-")
    desk.shows("<'-'>")
    assert desk.shown.count("V") == 1
    assert termios.tcgetattr(desk.slave)[3] & termios.ISIG
    desk.press("q")
    desk.shows("closed")
    wait_until(lambda: desk.state() == "Z", "it has ended")
    assert termios.tcgetattr(desk.slave) == modes


def test_an_error_leaves_the_terminal_in_order(desk: Desk) -> None:
    desk.order("fg")
    desk.takes_keys()
    desk.press("x")
    desk.shows("RuntimeError")
    wait_until(lambda: desk.state() == "Z", "it has ended")
    assert desk.in_line_mode


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGHUP])
def test_a_signal_that_ends_it_leaves_the_terminal_in_order(desk: Desk, number: int) -> None:
    desk.order("fg")
    desk.takes_keys()
    os.kill(desk.job, number)
    wait_until(lambda: desk.state() == "Z", "it has ended")
    assert desk.in_line_mode


def test_in_the_background_the_terminal_is_left_alone(desk: Desk) -> None:
    """A process that read it there would be stopped."""
    desk.press("v\n")
    time.sleep(0.2)
    assert desk.state() != "T"
    assert desk.in_line_mode
    assert "<" not in desk.shown


def test_stopped_and_taken_up_again(desk: Desk) -> None:
    """Ctrl+Z, bg, fg, twice."""
    desk.order("fg")
    for _ in range(2):
        desk.takes_keys()
        desk.press("\x1a")
        wait_until(lambda: desk.state() == "T", "it has stopped")
        assert desk.in_line_mode
        desk.order("bg")
        wait_until(lambda: desk.state() != "T", "it goes on")
        desk.press("v\n")
        time.sleep(0.1)
        assert desk.state() != "T"
        assert desk.in_line_mode
        assert "<" not in desk.shown
        desk.order("fg")
        desk.takes_keys()
        desk.shows("<'v\\n'>")


def test_a_stop_that_cannot_be_caught(desk: Desk) -> None:
    """Whatever modes the terminal has after it, the keys are taken up again, and at the
    end it has those from the beginning."""
    modes = termios.tcgetattr(desk.slave)
    desk.order("fg")
    desk.takes_keys()
    os.kill(desk.job, signal.SIGSTOP)
    wait_until(lambda: desk.state() == "T", "it has stopped")
    termios.tcsetattr(desk.slave, termios.TCSANOW, modes)
    desk.order("fg")
    desk.takes_keys()
    desk.press("q")
    desk.shows("closed")
    assert termios.tcgetattr(desk.slave) == modes


def test_an_end_in_the_background(desk: Desk) -> None:
    """Who is not in the foreground must not set the modes back either."""
    desk.order("fg")
    desk.takes_keys()
    desk.order("bg")
    time.sleep(0.05)
    os.kill(desk.job, signal.SIGTERM)
    wait_until(lambda: desk.state() == "Z", "it has ended")
