"""How loud the real program plays and records, and the keys for it."""

from __future__ import annotations

import signal
import struct
import subprocess
import termios
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from echowarp.app.volume import Volume
from echowarp.media.gain import apply_gain
from tests.app.sounds import has_recorded
from tests.app.tty import Teletype
from tests.processes import GOODBYE_S, Stage, wait_until
from tests.recordings import read_pcm, speech_wav


@pytest.fixture
def tty(stage: Stage) -> Iterator[Teletype]:
    made = Teletype()
    yield made
    stage.close()
    made.close(stage.programs[-1])
    assert "Traceback" not in made.text


def modes(tty: Teletype) -> Any:
    return termios.tcgetattr(tty.options["stdin"])


def takes_keys(tty: Teletype) -> None:
    wait_until(lambda: not modes(tty)[3] & termios.ICANON, "the program takes keys")


class TestVolume:
    def test_steps_and_ends(self) -> None:
        volume = Volume(391)
        assert [volume.press(key) for key in "+=+x\n"] == [True, True, True, False, False]
        assert volume.percent == 400
        assert [volume.press(key) for key in "-_" * 50] == [True] * 100
        assert (volume.percent, volume.gain()) == (0, 0.0)

    def test_words_and_gain(self) -> None:
        volume = Volume(100)
        assert (volume.words(), volume.gain()) == ("", 1.0)
        volume.press("v")
        assert (volume.words(), volume.gain()) == ("muted", 0.0)
        volume.press("-")
        assert (volume.words(), volume.gain()) == ("volume 95 %, muted", 0.0)
        volume.press("v")
        assert (volume.words(), volume.gain()) == ("volume 95 %", 0.95)


@pytest.mark.parametrize("percent", [50, 400, 0])
def test_a_recording_at_a_volume(stage: Stage, percent: int) -> None:
    pcm = speech_wav(stage.folder / "in.wav", 1)
    server = stage.server(source="in.wav")
    client = stage.client("--volume", str(percent), sink="got.wav")
    assert (client.ends(), server.ends()) == (0, 0)
    assert read_pcm(stage.folder / "got.wav")[2] == apply_gain(pcm, percent / 100)


def test_a_wrong_volume_is_one_line(stage: Stage) -> None:
    client = stage.client("--volume", "500")
    assert client.ends() == 2
    assert client.said == "echowarp: --volume: '500' is not a whole number, 0..400\n"


class TestKeys:
    def test_mute_and_volume(self, stage: Stage, tty: Teletype) -> None:
        """Seen in the live line, and heard, without a click."""
        stage.server("--channels", "1", source="tone:100")
        client = stage.client(sink="got.wav", **tty.options)
        has_recorded(stage.folder / "got.wav", 0.2)
        takes_keys(tty)
        for key, words in (("v", "muted"), ("-", "volume 95 %, muted"), ("v", "volume 95 %")):
            tty.press(key)
            tty.shows(words)
        tty.press("++_=v")
        tty.shows("volume 105 %, muted")
        tty.press("q")
        assert client.ends(patience_s=GOODBYE_S) == 0
        tty.shows("done:")
        samples = struct.iter_unpack("<h", read_pcm(stage.folder / "got.wav")[2])
        values = [sample for (sample,) in samples]
        loudest = max(values)
        assert any(values[at : at + 480] == [0] * 480 for at in range(0, len(values), 480))
        assert max(abs(b - a) for a, b in pairwise(values)) < loudest * 0.03

    @pytest.mark.parametrize("role", ["server", "client"])
    def test_quit_leaves_the_terminal_as_it_was(
        self, stage: Stage, tty: Teletype, role: str
    ) -> None:
        before = modes(tty)
        if role == "client":
            stage.server()
        program = getattr(stage, role)(
            **({"ready": False} if role == "server" else {}), **tty.options
        )
        takes_keys(tty)
        tty.press("q")
        assert program.ends(patience_s=GOODBYE_S) == 0
        tty.shows("done:")
        assert modes(tty) == before

    @pytest.mark.parametrize("numbers", [(signal.SIGTERM,), (signal.SIGINT, signal.SIGTERM)])
    def test_signals_leave_the_terminal_as_it_was(
        self, stage: Stage, tty: Teletype, numbers: tuple[int, ...]
    ) -> None:
        """Also two, as a terminal and its shell send them."""
        before = modes(tty)
        stage.server()
        client = stage.client(**tty.options)
        takes_keys(tty)
        for number in numbers:
            client.signal(number)
        assert client.ends(patience_s=GOODBYE_S) == 0
        assert modes(tty) == before

    def test_a_refusal_leaves_the_terminal_as_it_was(self, stage: Stage, tty: Teletype) -> None:
        before = modes(tty)
        stage.server()
        client = stage.client(password="wrong", **tty.options)
        assert client.ends() == 3
        assert modes(tty) == before

    def test_where_there_is_no_live_line_the_log_tells(self, stage: Stage, tty: Teletype) -> None:
        options = tty.options | {"environment": {"TERM": "dumb"}}
        stage.server()
        client = stage.client(**options)
        takes_keys(tty)
        tty.press("-")
        tty.shows("volume 95 %\n")
        tty.press("+")
        tty.shows("volume 100 %\n")
        tty.press("q")
        assert client.ends(patience_s=GOODBYE_S) == 0

    def test_a_source_on_standard_input_is_not_read_for_keys(
        self, stage: Stage, tty: Teletype
    ) -> None:
        before = modes(tty)
        server = stage.server(ready=False, source="-", **tty.options)
        tty.shows("waiting")
        tty.press("q")
        tty.shows("waiting")
        assert modes(tty) == before
        assert server.leave() == 0

    def test_a_pipe_is_not_read_for_keys(self, stage: Stage) -> None:
        stage.server()
        client = stage.client("--duration", "0.6", stdin=subprocess.PIPE)
        assert client.process.stdin is not None
        client.process.stdin.write(b"q")
        client.process.stdin.flush()
        assert client.ends() == 0
        assert client.stream["received"] > 100
