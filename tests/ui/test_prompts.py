from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from echowarp.config.conf import read_conf, write_conf
from echowarp.config.settings import Settings
from echowarp.errors import ConfigError, DeviceError, EchoWarpError
from echowarp.ui.prompts import Answers, DeviceChoice, PromptsLeft, ask_settings

DEVICES = (
    DeviceChoice(index=2, name="Built-in", label="Built-in microphone", is_default=False),
    DeviceChoice(index=7, name="USB", label="USB microphone", is_default=True),
)
NO_SAVE = ""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every dialogue has a current folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Script:
    """A user who gives the answers one after another, and remembers what was shown.

    An answer that is an exception is raised; the hidden ones begin with "hidden:".
    """

    def __init__(self, *answers: str | BaseException) -> None:
        self.answers: Iterator[str | BaseException] = iter(answers)
        self.shown: list[str] = []
        self.asked_for: list[tuple[Settings, str]] = []

    def read_line(self, prompt: str) -> str:
        answer = self._next(prompt)
        assert not answer.startswith("hidden:"), f"{prompt!r} is not hidden"
        return answer

    def read_hidden(self, prompt: str) -> str:
        answer = self._next(prompt)
        assert answer.startswith("hidden:"), f"{prompt!r} is hidden"
        return answer.removeprefix("hidden:")

    def _next(self, prompt: str) -> str:
        self.shown.append(prompt)
        answer = next(self.answers)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def devices(self, settings: Settings, end: str) -> Sequence[DeviceChoice]:
        self.asked_for.append((settings, end))
        return DEVICES

    def run(
        self,
        *,
        conf_files: Sequence[str] = (),
        devices: Callable[[Settings, str], Sequence[DeviceChoice]] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Answers:
        answers = ask_settings(
            conf_files=conf_files,
            devices=devices or self.devices,
            read_line=self.read_line,
            read_hidden=self.read_hidden,
            write=self.shown.append,
            environ=environ or {},
        )
        assert next(self.answers, None) is None, "answers are left over"
        return answers


def no_devices(_: Settings, end: str) -> Sequence[DeviceChoice]:
    raise DeviceError("PyAudio is not installed: pip install PyAudio")


# What a server is asked: mode, capture, what to send, talk back, port, password, encrypt,
# protect, failures, save. A client: mode, where to, address, port, password,
# failures, save.


def test_server_by_enter_alone() -> None:
    script = Script("", "", "", "", "", "hidden:", "", "", "", NO_SAVE)
    assert script.run() == Answers(settings=Settings(), save_to=None)
    assert script.shown == [
        "What shall this machine do:",
        "  1  send its sound (server)",
        "  2  receive sound and play it (client)",
        "  3  talk to others: calls, rooms, an intercom (client)",
        "Number [1]: ",
        "What shall be captured:",
        "  1  a microphone or another input",
        "  2  what the speakers play",
        "Number [1]: ",
        "What to send:",
        "  1  Built-in microphone",
        "  2  USB microphone (system default)",
        "  3  a test tone",
        "  4  a WAV file",
        "  5  nothing: only connect those who talk (relay)",
        "Number [system default]: ",
        "Let listeners talk back [no]: ",
        "Port of the server [4415]: ",
        "Password (not shown) [none]: ",
        "Encrypt the sound [no]: ",
        "Protect the sound from being changed on its way [no]: ",
        "Failures before a client gives up, or is banned (0 = never) [5]: ",
        "Save these answers to a config file [no]: ",
    ]


def test_server_with_every_answer() -> None:
    script = Script("1", "2", "1", "", "4416", "hidden: s3 ", "Yes", "y", "0", NO_SAVE)
    assert script.run().settings == Settings(
        is_input_audio_device=False,
        device_id=2,
        udp_port=4416,
        password=" s3 ",
        is_ssl=True,
        is_integrity_control=True,
        reconnect_attempt=0,
    )
    assert script.asked_for == [(Settings(is_input_audio_device=False), "source")]


def test_client() -> None:
    script = Script("2", "2", " 192.168.1.5 ", "", "hidden:", "", NO_SAVE)
    assert script.run().settings == Settings(
        is_server=False, device_id=7, server_address="192.168.1.5"
    )
    assert script.asked_for == [(Settings(is_server=False), "sink")]
    assert not any("Encrypt" in line or "captured" in line for line in script.shown)


# A talker: mode, name, call, room or answering, code, microphone, when it is heard, where
# to; then as a client.
REST = ("", "h", "", "hidden:", "", NO_SAVE)


def talker(**options: Any) -> Settings:
    return Settings(is_server=False, nickname="zoë", server_address="h", **options)


def test_a_talker() -> None:
    script = Script("3", "", "zoë", "bob", "hidden:", "", "", *REST)
    assert script.run().settings == talker(call="bob")
    assert [end for _, end in script.asked_for] == ["source", "sink"]
    assert not any("level" in line for line in script.shown), "it has not been asked for"
    script = Script("3", "zoë", "", "kitchen", "hidden:four words", "1", "3", "2", *REST[1:])
    assert script.run(environ={"ECHOWARP_E2E": "other"}).settings == talker(
        room="kitchen", e2e="four words", microphone="Built-in", push_to_talk=True, device_id=7
    )
    start = script.shown.index("What the others hear:")
    assert script.shown[start + 1 : start + 11] == [
        "  1  Built-in microphone",
        "  2  USB microphone (system default)",
        "  3  nothing: only listen",
        "  4  a WAV file",
        "Number [system default]: ",
        "When they hear it:",
        "  1  always",
        "  2  after m is pressed: begin muted",
        "  3  while the space bar is held down",
        "  4  while it is loud: voice activation",
    ]
    script = Script("3", "zoë", "", "", "yes", "hidden:", "", "2", *REST)
    assert script.run(environ={"ECHOWARP_E2E": "other"}).settings == talker(
        auto_answer=True, e2e="other", muted=True
    )


def test_a_talker_who_only_listens_is_not_asked_when() -> None:
    script = Script("3", "zoë", "", "kitchen", "hidden:", "3", *REST)
    assert script.run().settings == talker(room="kitchen", source="none")
    script = Script("3", "zoë", "", "kitchen", "hidden:", "", "2", *REST[1:])
    assert script.run(devices=no_devices).settings == talker(
        room="kitchen", source="none", sink="null"
    )


def test_a_talker_with_a_file(folder: Path) -> None:
    (folder / "song.wav").write_bytes(b"")
    script = Script("3", "zoë", "bob", "hidden:", "4", "song.wav", "", *REST)
    assert script.run().settings == talker(call="bob", source="song.wav")


def test_voice_activation() -> None:
    script = Script("3", "zoë", "bob", "hidden:", "", "4", "", *REST)
    assert script.run().settings == talker(call="bob", voice_activation=0.02)
    assert "From which level on, a share of full scale [0.02]: " in script.shown
    script = Script("3", "zoë", "bob", "hidden:", "", "4", "2", "0.05", *REST)
    assert script.run().settings == talker(call="bob", voice_activation=0.05)


def test_a_server_that_is_talked_back_to(folder: Path) -> None:
    start, rest = ("1", "", "", "yes"), ("", "hidden:", "", "", "", NO_SAVE)
    script = Script(*start, "", "", *rest)
    assert script.run().settings == Settings(talkback=True)
    at = script.shown.index("Where what they say goes:")
    assert script.shown[at + 1 : at + 6] == [
        "  1  the system's default output",
        "  2  a WAV file",
        "  3  nowhere",
        "Number [1]: ",
        "Room in which they hear each other too, if any: ",
    ]
    expected = Settings(talkback=True, sink="echowarp.wav", room="studio")
    assert Script(*start, "2", "", "studio", *rest).run().settings == expected
    expected = Settings(talkback=True, sink="null")
    assert Script(*start, "3", "", *rest).run().settings == expected


def test_wrong_answers_ask_again_and_say_why() -> None:
    script = Script(
        *("4", "two", "2"),
        *("5", "0", "4"),
        *("", "a b", "host:1", "host"),
        *("0", "x", "65535"),
        "hidden:",
        *("-1", "1"),
        *("perhaps", "n"),
    )
    assert script.run().settings == Settings(
        is_server=False, sink="null", server_address="host", udp_port=65535, reconnect_attempt=1
    )
    for reason in (
        "'4' is not a whole number, 1..3",
        "'5' is not a whole number, 1..4",
        "it is empty: give a host name or an address",
        "'0' is not a whole number, 1..65535",
        "'-1' is not a whole number, 0 or more",
        "'perhaps' is neither yes nor no",
    ):
        assert script.shown.count(reason) == 1


def test_tone_and_nothing_as_sources() -> None:
    rest = ("", "hidden:", "", "", "", NO_SAVE)
    assert Script("1", "", "3", "", *rest).run().settings == Settings(source="tone")
    assert Script("1", "", "5", *rest).run().settings == Settings(source="none")


def test_wav_source_must_be_there(folder: Path) -> None:
    (folder / "song.WAV").write_bytes(b"")
    wrong = ("", "tone", "-", "song.mp3", "missing.wav")
    script = Script("", "", "4", *wrong, "song.WAV", "", "", "hidden:", "", "", "", NO_SAVE)
    assert script.run().settings == Settings(source="song.WAV")
    assert "there is no file 'missing.wav'" in script.shown


def test_wav_sink_is_not_replaced_unasked(folder: Path) -> None:
    rest = ("host", "", "hidden:", "", NO_SAVE)
    expected = Settings(is_server=False, server_address="host", sink="echowarp.wav")
    assert Script("2", "3", "", *rest).run().settings == expected
    (folder / "echowarp.wav").write_bytes(b"")
    settings = Script("2", "3", "", "no", "other.wav", *rest).run().settings
    assert (settings.sink, settings.overwrite) == ("other.wav", False)
    settings = Script("2", "3", "", "yes", *rest).run().settings
    assert (settings.sink, settings.overwrite) == ("echowarp.wav", True)


def test_devices_cannot_be_listed() -> None:
    script = Script("", "", "", "", "", "hidden:", "", "", "", NO_SAVE)
    assert script.run(devices=no_devices).settings == Settings(source="tone")
    assert "PyAudio is not installed: pip install PyAudio" in script.shown
    assert "  1  a test tone" in script.shown
    script = Script("2", "2", "host", "", "hidden:", "", NO_SAVE)
    settings = script.run(devices=no_devices).settings
    assert settings == Settings(is_server=False, sink="null", server_address="host")


def test_there_are_no_devices() -> None:
    script = Script("", "", "1", "", "", "hidden:", "", "", "", NO_SAVE)
    assert script.run(devices=lambda _, end: ()).settings == Settings(source="tone")


def test_password_from_the_environment() -> None:
    environ = {"ECHOWARP_PASSWORD": "from env"}
    script = Script("", "", "", "", "", "hidden:", "", "", "", NO_SAVE)
    assert script.run(environ=environ).settings.password == "from env"
    assert "Password (not shown) [that in ECHOWARP_PASSWORD]: " in script.shown
    assert not any("from env" in line for line in script.shown)
    script = Script("", "", "", "", "", "hidden:own", "", "", "", NO_SAVE)
    assert script.run(environ=environ).settings.password == "own"


def test_save(folder: Path) -> None:
    answers = Script("", "", "", "", "", "hidden:", "", "", "", "y", "").run()
    assert answers.save_to == "echowarp.conf"
    script = Script("", "", "", "", "", 'hidden:"=#\t ', "", "", "", "y", "mine.conf")
    answers = script.run()
    assert answers.save_to == "mine.conf"
    assert "mine.conf holds the password: keep it to yourself" in script.shown
    write_conf(answers.save_to, answers.settings)
    assert read_conf("mine.conf", {})[0] == answers.settings


def test_save_asks_before_it_replaces(folder: Path) -> None:
    (folder / "echowarp.conf").write_text("")
    start = ("", "", "", "", "", "hidden:", "", "", "", "y", "")
    script = Script(*start, "", "new.conf")
    assert script.run().save_to == "new.conf"
    assert "echowarp.conf exists: replace it [no]: " in script.shown
    assert Script(*start, "y").run().save_to == "echowarp.conf"


def test_a_config_file_is_offered(folder: Path) -> None:
    (folder / "a.conf").write_text("[echowarp_conf]\nloop=True\n")
    (folder / "b.conf").write_text("[echowarp_conf]\nudp_port=4416\n")
    files = ("a.conf", "b.conf")
    script = Script("2")
    answers = script.run(conf_files=files, environ={"ECHOWARP_PASSWORD": "x"})
    assert answers == Answers(settings=Settings(udp_port=4416, password="x"), save_to=None)
    assert script.shown == [
        "Config files in this folder:",
        "  0  none of them",
        "  1  a.conf",
        "  2  b.conf",
        "Take the settings from [0]: ",
    ]
    script = Script("1")
    assert script.run(conf_files=files).settings == Settings(loop=True)
    assert "a.conf: no effect unless source is a WAV file: loop" in script.shown


def test_no_config_file_is_taken() -> None:
    for answer in ("0", ""):
        script = Script(answer, "", "", "", "", "", "hidden:", "", "", "", NO_SAVE)
        assert script.run(conf_files=["a.conf"]).settings == Settings()


def test_a_bad_config_file_asks_again(folder: Path) -> None:
    (folder / "a.conf").write_text("[echowarp_conf]\nudp_port=0\n")
    (folder / "b.conf").write_text("[echowarp_conf]\n")
    script = Script("1", "3", "2")
    assert script.run(conf_files=["a.conf", "b.conf"]).settings == Settings()
    assert "a.conf, line 2: udp_port: '0' is not a whole number, 1..65535" in script.shown
    assert "'3' is not a whole number, 0..2" in script.shown


SERVER = ("", "", "", "", "", "hidden:", "", "", "", NO_SAVE)


@pytest.mark.parametrize(
    ("reason", "told", "status"),
    [
        (KeyboardInterrupt(), "left the questions: nothing was started", 0),
        (EOFError(), "the answers ended before the questions: nothing was started", 2),
    ],
    ids=["interrupt", "end of input"],
)
@pytest.mark.parametrize("after", range(len(SERVER)))
def test_leaving_at_any_question(reason: BaseException, told: str, status: int, after: int) -> None:
    script = Script(*SERVER[:after], reason)
    with pytest.raises(EchoWarpError) as caught:
        script.run()
    assert (str(caught.value), caught.value.exit_status) == (told, status)
    assert script.shown[-1] == "", "the reason has a line of its own"


def test_leaving_at_the_config_files() -> None:
    with pytest.raises(PromptsLeft):
        Script(KeyboardInterrupt()).run(conf_files=["a.conf"])


def test_an_answer_that_is_not_text() -> None:
    with pytest.raises(ConfigError, match="not utf-8 text"):
        Script(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")).run()
