"""The program on a terminal: its prompts, and its live line."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator

import pytest

from echowarp.config.conf import load_conf
from tests.app.sounds import has_recorded
from tests.app.tty import COLUMNS, Teletype, screen
from tests.processes import GOODBYE_S, PASSWORD, Program, Stage, wait_until
from tests.recordings import read_pcm, speech_wav

LIVE = re.compile(r"^(playing|connected|connecting|streaming|waiting) ")
LOG = re.compile(r"^\d\d:\d\d:\d\d ")


@pytest.fixture
def tty(stage: Stage) -> Iterator[Teletype]:
    made = Teletype()
    yield made
    stage.close()
    made.close(stage.programs[-1])
    assert "Traceback" not in made.text


def asked(stage: Stage, tty: Teletype) -> Program:
    """The program without any argument."""
    return stage.run("asked", stats=False, **tty.options)


class TestPrompts:
    def test_from_the_first_question_to_the_sound(self, stage: Stage, tty: Teletype) -> None:
        """Enter takes the default, a wrong answer asks again, the password is hidden,
        and at the end all is saved."""
        pcm = speech_wav(stage.folder / "in.wav", 1)
        program = asked(stage, tty)
        tty.choose("What shall this machine do", "send its sound")
        tty.choose("What shall be captured", "")
        tty.choose("What to send", "a WAV file")
        tty.answer("WAV file to send", "nowhere.wav")
        tty.answer("WAV file to send", "in.wav")
        tty.answer("Let listeners talk back")
        tty.answer("Port of the server [4415]", "seventy")
        tty.answer("Port of the server [4415]", str(stage.port))
        tty.answer("Password (not shown) [none]", PASSWORD)
        tty.answer("Encrypt the sound", "perhaps")
        tty.answer("Encrypt the sound", "y")
        tty.answer("Protect the sound")
        tty.answer("Failures before")
        tty.answer("Save these answers", "yes")
        tty.answer("Name of the config file [echowarp.conf]")
        tty.shows("listening on port")
        client = stage.client(sink="got.wav")
        assert (client.ends(), program.ends()) == (0, 0)
        stage.programs.reverse()
        assert read_pcm(stage.folder / "got.wav")[2] == pcm
        assert client.stream["suite"] == "encrypted"
        assert PASSWORD not in tty.text
        settings, _ = load_conf(str(stage.folder / "echowarp.conf"))
        assert (settings.udp_port, settings.source) == (stage.port, "in.wav")
        assert (settings.is_ssl, settings.password) == (True, PASSWORD)

    def test_a_client_from_a_config_file_that_is_there(self, stage: Stage, tty: Teletype) -> None:
        stage.server()
        (stage.folder / "kitchen.conf").write_text(
            f"[echowarp_conf]\nis_server=False\nserver_address=127.0.0.1\nsink=null\n"
            f"udp_port={stage.port}\nduration=0.3\npassword={PASSWORD}\n"
        )
        program = asked(stage, tty)
        assert "1  kitchen.conf" in tty.answer("Take the settings from [0]", "1")
        assert program.ends() == 0

    @pytest.mark.parametrize(
        ("keys", "status"), [("\x03", 0), ("\x04", 2)], ids=["interrupt", "end of input"]
    )
    def test_leaving(self, stage: Stage, tty: Teletype, keys: str, status: int) -> None:
        program = asked(stage, tty)
        tty.choose("What shall this machine do", "receive sound")
        tty.shows("Where the sound goes")
        tty.shows("Number [")
        tty.press(keys)
        assert program.ends(patience_s=GOODBYE_S) == status
        tty.shows("nothing was started")

    def test_leaving_at_the_hidden_question(self, stage: Stage, tty: Teletype) -> None:
        program = asked(stage, tty)
        tty.choose("What shall this machine do", "receive sound")
        tty.choose("Where the sound goes", "nowhere")
        tty.answer("Address of the server", "127.0.0.1")
        tty.answer("Port of the server")
        tty.shows("Password")
        tty.press("\x03")
        assert program.ends(patience_s=GOODBYE_S) == 0

    def test_without_anybody_to_answer_it_is_one_line(self, stage: Stage) -> None:
        """As a service is started, and as from a file that is empty."""
        program = stage.run("asked", stats=False)
        assert program.ends() == 2
        (line,) = program.said.splitlines()
        assert line.startswith("echowarp: nobody is there to answer questions")
        assert "--help" in line

    def test_answers_that_end_too_early(self, stage: Stage) -> None:
        program = stage.run("asked", stats=False, stdin=subprocess.PIPE)
        stdin = program.process.stdin
        assert stdin is not None
        stdin.write(b"2\n")
        stdin.close()
        assert program.ends() == 2
        last = program.said.splitlines()[-1]
        assert last == "echowarp: the answers ended before the questions: nothing was started"


def live_rows(rows: list[str]) -> list[str]:
    return [row for row in rows if LIVE.match(row)]


class TestLiveLine:
    def test_is_below_the_log_and_never_in_it(self, stage: Stage, tty: Teletype) -> None:
        """Whatever is cut off where: after any byte there is at most one live line, the
        last; all lines of the log are whole; at the end it is gone."""
        pcm = speech_wav(stage.folder / "in.wav", 2)
        server = stage.server("--ssl", source="in.wav")
        client = stage.client("-v", "-r", "0", sink="got.wav", **tty.options)
        has_recorded(stage.folder / "got.wav", 1.5)
        wait_until(lambda: live_rows(screen(tty.shown)[-1:]), "the live line is shown")
        (live,) = live_rows(screen(tty.shown)[-1:])
        assert server.ends() == 0
        assert client.ends() == 0
        tty.shows("done:")
        for word in ("playing", "encrypted", "48000 Hz", "dB", "Mbit/s", "loss"):
            assert word in tty.text
        assert len(live) < COLUMNS
        ends = [n for n, byte in enumerate(tty.shown) if byte in b"\n\r\x1b"]
        for end in ends:
            rows = screen(tty.shown[:end])
            assert len(live_rows(rows)) <= 1
            assert live_rows(rows[:-1]) == []
        rows = screen(tty.shown)
        assert rows.pop() == ""
        assert live_rows(rows) == []
        wrapped = [row for row in rows if not LOG.match(row)]
        assert len(wrapped) <= sum(len(row) == COLUMNS for row in rows)
        assert read_pcm(stage.folder / "got.wav")[2] == pcm

    @pytest.mark.parametrize("role", ["server", "client"])
    def test_of_either_side_leaves_at_an_interrupt(
        self, stage: Stage, tty: Teletype, role: str
    ) -> None:
        if role == "client":
            stage.server()
            program = stage.client(**tty.options)
            word = "playing "
        else:
            program = stage.server(ready=False, **tty.options)
            tty.shows("listening")
            word = "waiting "
        wait_until(lambda: screen(tty.shown)[-1].startswith(word), "it is shown")
        tty.press("\x03")
        assert program.ends(patience_s=GOODBYE_S) == 0
        tty.shows("done:")
        assert live_rows(screen(tty.shown)) == []

    @pytest.mark.parametrize("how", ["NO_COLOR", "quiet", "dumb"])
    def test_is_not_there_when_it_is_not_wanted(
        self, stage: Stage, tty: Teletype, how: str
    ) -> None:
        options = tty.options
        options["environment"] = {
            "NO_COLOR": {"TERM": "xterm", "NO_COLOR": "1"},
            "quiet": {"TERM": "xterm"},
            "dumb": {"TERM": "dumb"},
        }[how]
        stage.server()
        client = stage.client(*(("-q",) if how == "quiet" else ()), "--duration", "0.6", **options)
        assert client.ends() == 0
        assert live_rows(screen(tty.shown)) == []
        assert b"\x1b" not in tty.shown
        assert (b"done:" in tty.shown) == (how != "quiet")

    def test_is_not_in_a_file(self, stage: Stage) -> None:
        server = stage.server()
        client = stage.client("--duration", "0.4")
        assert client.ends() == 0
        assert server.leave() == 0
        assert "\x1b" not in client.said + server.said
        assert all(LOG.match(line) for line in client.said.splitlines())

    def test_a_terminal_that_is_closed_does_not_end_the_sound(self, stage: Stage) -> None:
        """The words have nobody to read them; SIGHUP is what the shell may send or not."""
        reader, writer = os.pipe()
        server = stage.server()
        client = stage.client(stderr=writer, sink="got.wav")
        os.close(writer)
        has_recorded(stage.folder / "got.wav", 0.2)
        os.close(reader)
        client.process.send_signal(signal.SIGTERM)
        assert client.ends() == 0
        read_pcm(stage.folder / "got.wav")
        assert server.running
