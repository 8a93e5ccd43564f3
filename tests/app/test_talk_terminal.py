"""A talker on a terminal: rows of people, keys, and commands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from echowarp.config.conf import load_conf
from tests.app.test_calls import talker
from tests.app.tty import COLUMNS, Teletype, screen
from tests.processes import GOODBYE_S, PASSWORD, Stage, wait_until
from tests.recordings import speech_wav


@pytest.fixture
def tty(stage: Stage) -> Iterator[Teletype]:
    made = Teletype()
    yield made
    stage.close()
    made.close(stage.programs[-1])
    assert "Traceback" not in made.text


def rows(tty: Teletype) -> list[str]:
    return [row for row in screen(tty.shown) if row]


def shows(tty: Teletype, *words: str) -> None:
    """Waits for a row among the last ones that has all these words."""
    wait_until(
        lambda: any(all(word in row for word in words) for row in rows(tty)[-4:]),
        f"{words} in {rows(tty)[-4:]}",
    )


def test_a_call_by_keys_and_commands(stage: Stage, tty: Teletype) -> None:
    stage.server("--ssl", source="none")
    bob = talker(stage, "bob", "--room", "cellar")
    bob.says("in room cellar")
    anna = talker(stage, "anna", "--sample_rate", "16000", **tty.options)
    shows(tty, "bob", "in room cellar")
    shows(tty, "you, anna")
    tty.press("/room cellar\n")
    shows(tty, "in room cellar", "encrypted")
    # The tone is above -40 dB: a star, a meter, the loss.
    shows(tty, "* bob", "█", "dB", "loss")
    shows(tty, "* you, anna")
    tty.press("m")
    shows(tty, "  you, anna", "muted: m speaks")
    wait_until(lambda: any(each["muted"] for each in bob.stats[-1]["people"]), "bob is told")
    tty.press("m/volume BOB 50\n")
    tty.press("/list\n")
    tty.shows("bob, in cellar")
    tty.press("d/mute bob\n")
    tty.shows("nobody is calling")
    tty.shows("bob is muted here")
    tty.press("/unmute bob\n")
    tty.shows("bob is heard here again")
    carl = talker(stage, "carl", "--call", "anna")
    tty.shows("carl is calling: a or /answer answers")
    tty.press("a")
    shows(tty, "in a call with carl")
    carl.says("in a call with anna")
    shows(tty, "* carl", "dB")
    tty.press("/hangup\n")
    assert carl.ends() == 0
    shows(tty, "in room cellar", "encrypted")
    assert all(len(row) <= COLUMNS for row in rows(tty))
    tty.press("/quit\n")
    assert anna.ends(patience_s=GOODBYE_S) == 0
    stage.programs.append(stage.programs.pop(stage.programs.index(anna)))


def test_a_room_by_the_prompts(stage: Stage, tty: Teletype) -> None:
    stage.server("--ssl", source="none")
    bob = talker(stage, "bob", "--room", "hall")
    bob.says("in room hall")
    speech_wav(stage.folder / "zoë.wav", 1, rate=8_000, channels=1)
    asked = stage.run("asked", stats=False, **tty.options)
    tty.choose("What shall this machine do", "talk to others")
    tty.answer("Your name, for the others", "zoë")
    tty.answer("Whom to call")
    tty.answer("Room to join", "hall")
    tty.answer("Code to encrypt what is said")
    tty.choose("What the others hear", "a WAV file")
    tty.answer("WAV file to send", "zoë.wav")
    tty.choose("When they hear it", "while the space bar is held down")
    tty.choose("Where the sound goes", "nowhere")
    tty.answer("Address of the server", "127.0.0.1")
    tty.answer("Port of the server", str(stage.port))
    tty.answer("Password", PASSWORD)
    tty.answer("Failures before")
    tty.answer("Save these answers", "yes")
    tty.answer("Name of the config file")
    path = stage.folder / "echowarp.conf"
    bob.says("zoë is there")
    bob.says("zoë has gone to room hall")
    tty.press("q")
    assert asked.ends(patience_s=GOODBYE_S) == 0
    settings, _ = load_conf(str(path))
    assert (settings.room, settings.source, settings.push_to_talk) == ("hall", "zoë.wav", True)


def test_an_intercom_by_the_prompts(stage: Stage, tty: Teletype) -> None:
    """The server has the stream of a file that is long enough."""
    speech_wav(stage.folder / "in.wav", 30, rate=8_000, channels=1)
    server = stage.run("asked", stats=False, **tty.options)
    tty.choose("What shall this machine do", "send its sound")
    tty.choose("What shall be captured", "")
    tty.choose("What to send", "a WAV file")
    tty.answer("WAV file to send", "in.wav")
    tty.answer("Let listeners talk back", "yes")
    tty.choose("Where what they say goes", "nowhere")
    tty.answer("Room in which they hear each other too", "studio")
    tty.answer("Port of the server", str(stage.port))
    tty.answer("Password", PASSWORD)
    tty.answer("Encrypt the sound", "yes")
    tty.answer("Protect the sound")
    tty.answer("Failures before")
    tty.answer("Save these answers")
    tty.shows("listening on port")
    anna = talker(stage, "anna")
    anna.says("in room studio")
    assert anna.leave() == 0
    tty.press("q")
    assert server.ends(patience_s=GOODBYE_S) == 0
    stage.programs.reverse()
