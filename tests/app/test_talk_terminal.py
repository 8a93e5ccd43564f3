"""A talker on a terminal: rows of people, keys, and commands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.app.test_calls import talker
from tests.app.tty import COLUMNS, Teletype, screen
from tests.processes import GOODBYE_S, PASSWORD, Stage, wait_until


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
    asked = stage.run("asked", stats=False, **tty.options)
    tty.choose("What shall this machine do", "talk to others")
    tty.answer("Your name, for the others", "zoë")
    tty.answer("Whom to call")
    tty.answer("Room to join", "hall")
    tty.answer("Code to encrypt what is said")
    tty.answer("Microphone, a part of its name")
    tty.answer("Be heard only while the space bar is held down", "yes")
    tty.choose("Where the sound goes", "nowhere")
    tty.answer("Address of the server", "127.0.0.1")
    tty.answer("Port of the server", str(stage.port))
    tty.answer("Password", PASSWORD)
    tty.answer("Failures before")
    tty.answer("Save these answers", "yes")
    tty.answer("Name of the config file")
    path = stage.folder / "echowarp.conf"
    wait_until(path.exists, "the answers are saved")
    # Whether or not there is a microphone here, a tone does in its place.
    asked.close()
    path.write_text(path.read_text("utf-8") + "source=tone\n", "utf-8")
    saved = stage.run("saved", "--config_file", "echowarp.conf", stats=False)
    bob.says("zoë is there")
    bob.says("zoë has gone to room hall")
    assert saved.leave() == 0
    stage.programs.append(stage.programs.pop(stage.programs.index(asked)))
