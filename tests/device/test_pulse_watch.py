from __future__ import annotations

import os
from collections.abc import Mapping
from typing import cast

import pytest

from echowarp.device.catalogue import Want
from echowarp.device.pulse_watch import Changes, PulseWatch, default_in, names_in, stream_in
from echowarp.device.seams import Reason
from tests.processes import wait_until
from tests.pulse import pactl, plug_in, private_pulse, unplug

INFO = """\
Server Name: PulseAudio (on PipeWire 1.0.5)
Default Sink: {sink}
Default Source: mic
Cookie: 6d2d:0a1c
"""

OUTPUTS = """\
Source Output #7
\tDriver: protocol-native.c
\tClient: 30
\tSource: 4
\tProperties:
\t\tapplication.process.id = "1"

Source Output #9
\tDriver: protocol-native.c
\tClient: 31
\tSource: {index}
\tMute: no
\tProperties:
\t\tmedia.name = "ALSA Capture"
\t\tapplication.process.id = "{pid}"
"""


@pytest.mark.parametrize(
    ("want", "name"), [("input", "mic"), ("output", "spk"), ("loopback", "spk.monitor")]
)
def test_the_default_is_read(want: Want, name: str) -> None:
    assert default_in(INFO.format(sink="spk"), want) == name
    assert default_in("Server Name: none\n", want) is None


def test_the_device_of_a_stream_is_read() -> None:
    assert stream_in(OUTPUTS.format(index=5, pid=42), 42) == 5
    assert stream_in(OUTPUTS.format(index=5, pid=42), 4) is None
    assert stream_in("", 42) is None


def test_names_are_read() -> None:
    short = "0\tcap.monitor\tmodule-null-sink.c\ts16le\tIDLE\n12\tmic\tx\ty\tz\n"
    assert names_in(short) == {0: "cap.monitor", 12: "mic"}
    assert names_in("") == {}


class Server:
    """A sound server, and what is told of its changes."""

    def __init__(self) -> None:
        self.default = "spk"
        self.devices: Mapping[int, str] = {1: "spk", 2: "hdmi"}
        self.stream = 1
        self.ends = False
        self.changed = False
        self.asked = 0

    def ask(self, *arguments: str) -> str | None:
        self.asked += 1
        if self.ends:
            return None
        if arguments == ("info",):
            return INFO.format(sink=self.default)
        if arguments[:2] == ("list", "short"):
            monitor = ".monitor" if arguments[2] == "sources" else ""
            return "".join(f"{n}\t{name}{monitor}\tx\n" for n, name in self.devices.items())
        text = OUTPUTS.format(index=self.stream, pid=os.getpid())
        return text.replace("\tSource:", "\tSink:") if arguments[1] == "sink-inputs" else text

    def take(self) -> bool:
        changed, self.changed = self.changed, False
        return changed

    def watch(self, want: Want, *, follows: bool) -> PulseWatch:
        watch = PulseWatch(
            want, guards=True, follows=follows, changes=cast(Changes, self), ask=self.ask
        )
        watch.opened()
        return watch


def test_nothing_is_asked_while_nothing_changes() -> None:
    server = Server()
    watch = server.watch("output", follows=True)
    server.asked = 0
    assert watch.look() is None
    assert server.asked == 0


@pytest.mark.parametrize(("want", "name"), [("output", "hdmi"), ("loopback", "hdmi.monitor")])
def test_a_new_default_is_followed_once(want: Want, name: str) -> None:
    server = Server()
    watch = server.watch(want, follows=True)
    server.default, server.changed = "hdmi", True
    moved = Reason(f"the default device is now {name}: following it", is_move=True)
    assert watch.look() == moved
    server.changed = True
    assert watch.look() is None


def test_the_server_may_have_moved_the_stream_itself() -> None:
    server = Server()
    watch = server.watch("output", follows=True)
    server.default, server.stream, server.changed = "hdmi", 2, True
    assert watch.look() is None


def test_what_is_not_followed_stays() -> None:
    server = Server()
    watch = server.watch("loopback", follows=False)
    server.default, server.changed = "hdmi", True
    assert watch.look() is None


@pytest.mark.parametrize("want", ["input", "output", "loopback"])
def test_a_device_that_has_gone(want: Want) -> None:
    server = Server()
    watch = server.watch(want, follows=False)
    server.devices, server.stream, server.changed = {2: "hdmi"}, 2, True
    reason = watch.look()
    assert reason == Reason(None, is_move=False)
    server.devices, server.stream = {2: "hdmi", 3: "spk"}, 3
    watch.opened()
    server.changed = True
    assert watch.look() is None


def test_a_source_that_is_back_under_its_name_has_still_gone() -> None:
    server = Server()
    watch = server.watch("loopback", follows=False)
    server.devices, server.stream, server.changed = {2: "hdmi", 3: "spk"}, 2, True
    assert watch.look() is not None


def test_a_server_that_has_ended_is_the_stream_s_own_news() -> None:
    server = Server()
    watch = server.watch("loopback", follows=True)
    server.ends = server.changed = True
    assert watch.look() is None


def test_changes_are_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    with private_pulse() as env:
        for key, value in env.items():
            monkeypatch.setenv(key, value)
        changes = Changes()
        try:
            wait_until(lambda: " subscribe" in _clients(env), "it listens")
            changes.take()
            for change in (
                lambda: unplug(env, "play"),
                lambda: plug_in(env, "play"),
                lambda: pactl(env, "set-default-sink", "cap"),
            ):
                change()
                wait_until(changes.take, "it is heard")
        finally:
            changes.close()
            changes.close()
        wait_until(lambda: " subscribe" not in _clients(env), "its process has ended")


def _clients(env: dict[str, str]) -> str:
    return "".join(
        " subscribe"
        for part in pactl(env, "list", "clients").split("\n\n")
        if f'application.process.id = "{os.getpid()}"' not in part and "pactl" in part
    ).removeprefix(" subscribe")
