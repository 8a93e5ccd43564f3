"""The prompts: a dialogue that ends in settings, when there are no arguments."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from echowarp.config import kinds, questions
from echowarp.config.checks import check
from echowarp.config.conf import read_conf
from echowarp.config.password import (
    CODE_VARIABLE,
    VARIABLE,
    saved_password_notice,
    with_code,
    with_password,
)
from echowarp.config.questions import QUESTIONS, Choice, Question
from echowarp.config.settings import Settings
from echowarp.errors import ConfigError, DeviceError, EchoWarpError

_Answer = TypeVar("_Answer")


NOBODY_ANSWERS = (
    "nobody is there to answer questions, and no options were given: echowarp --help lists them"
)


class PromptsLeft(EchoWarpError):
    """The user left the dialogue (Ctrl+C)."""

    exit_status = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceChoice:
    """An audio device to choose: its PortAudio index, its name, and how to show it."""

    index: int
    name: str
    label: str
    is_default: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Checked settings, and the config file to save them to, or None.

    The user has agreed to replace the file where it exists.
    """

    settings: Settings
    save_to: str | None


def ask_settings(
    *,
    conf_files: Sequence[str],
    devices: Callable[[Settings, str], Sequence[DeviceChoice]],
    read_line: Callable[[str], str],
    read_hidden: Callable[[str], str],
    write: Callable[[str], None],
    environ: Mapping[str, str],
) -> Answers:
    """Asks for settings until they are good.

    conf_files: config files to offer; devices: those that fit the settings so far as
    `source` or `sink`, or DeviceError; read_line, read_hidden: show a prompt and read an answer, as
    `input` and `getpass` do; write: shows one line, which comes without a line end.
    Raises PromptsLeft when reading ends with KeyboardInterrupt, and ConfigError when it
    ends with EOFError or an answer is not text.
    """
    dialogue = _Dialogue(
        devices=devices, read_line=read_line, read_hidden=read_hidden, write=write, environ=environ
    )
    try:
        loaded = dialogue.load(conf_files) if conf_files else None
        if loaded is not None:
            return Answers(settings=loaded, save_to=None)
        settings = dialogue.settings()
        return Answers(settings=settings, save_to=dialogue.save_to(settings))
    except KeyboardInterrupt:
        write("")  # what is said next gets a line of its own
        raise PromptsLeft("left the questions: nothing was started") from None
    except EOFError:
        write("")
        raise ConfigError("the answers ended before the questions: nothing was started") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"the answer is not {error.encoding} text: set the locale") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dialogue:
    devices: Callable[[Settings, str], Sequence[DeviceChoice]]
    read_line: Callable[[str], str]
    read_hidden: Callable[[str], str]
    write: Callable[[str], None]
    environ: Mapping[str, str]

    def load(self, conf_files: Sequence[str]) -> Settings | None:
        """The settings of a config file that is there, or None for none of them."""

        def read(answer: str) -> Settings | None:
            number = kinds.Range(int, 0, len(conf_files))(answer or "0")
            if number == 0:
                return None
            settings, notices = read_conf(conf_files[number - 1], self.environ)
            for notice in notices:
                self.write(notice)
            return settings

        self.write("Config files in this folder:")
        self._list(("none of them", *conf_files), first=0)
        return self._ask("Take the settings from", "0", read)

    def settings(self) -> Settings:
        """The answers to all questions, with the password and checked."""
        settings = Settings()
        for question in QUESTIONS:
            if question.concerns(settings):
                settings = replace(settings, **self._answer(question, settings))
        for notice in check(settings):
            self.write(notice)
        return with_code(with_password(settings, self.environ), self.environ)

    def save_to(self, settings: Settings) -> str | None:
        """The file to save the answers to, or None."""
        if not self._agrees(questions.SAVE_QUESTION):
            return None
        name, _ = self._new_file(questions.SAVE_NAME_QUESTION, questions.SAVE_NAME, kinds.path)
        for notice in saved_password_notice(name, settings):
            self.write(notice)
        return name

    def _answer(self, question: Question, settings: Settings) -> dict[str, Any]:
        """The changes to the settings that the answer to one question makes."""
        option = question.option
        if question.lists_devices:
            return self._endpoint(question, settings)
        if question.choices:
            return self._chosen(question, self._choose(question))
        if question.is_hidden:
            return {question.key: self._hidden(question)}
        if not option.metavar:
            return {question.key: self._agrees(question.text)}

        def parse(answer: str) -> Any:
            if answer or question.is_required:
                return option.parse(answer)
            return getattr(settings, question.key)

        return {
            question.key: self._ask(question.text, option.default_text or question.without, parse)
        }

    def _hidden(self, question: Question) -> str | None:
        variable = CODE_VARIABLE if question.key == "e2e" else VARIABLE
        default = f"that in {variable}" if self.environ.get(variable) else "none"
        return self.read_hidden(f"{question.text} [{default}]: ") or None

    def _choose(self, question: Question) -> Choice:
        """One of the listed choices; the first is the default."""
        self.write(f"{question.text}:")
        self._list([choice.label for choice in question.choices])
        limits = kinds.Range(int, 1, len(question.choices))
        return question.choices[self._ask("Number", "1", lambda text: limits(text or "1")) - 1]

    def _endpoint(self, question: Question, settings: Settings) -> dict[str, Any]:
        """A device, or one of the choices, for a source or a sink."""
        try:
            found = self.devices(settings, question.key)
        except DeviceError as error:
            self.write(str(error))
            found = ()
        else:
            if not found:
                self.write("There is no audio device here that fits.")
        if not found:
            return self._chosen(question, self._choose(question))
        self.write(f"{question.text}:")
        marks = {True: " (system default)", False: ""}
        labels = [device.label + marks[device.is_default] for device in found]
        self._list([*labels, *(choice.label for choice in question.choices)])
        limits = kinds.Range(int, 1, len(found) + len(question.choices))
        number = self._ask("Number", "system default", lambda text: limits(text) if text else 0)
        if number == 0:
            return {}
        if number <= len(found):
            device = found[number - 1]
            if question.key == "source" and settings.talks:
                return {"microphone": device.name}
            return {"device_id": device.index}
        return self._chosen(question, question.choices[number - len(found) - 1])

    def _chosen(self, question: Question, choice: Choice) -> dict[str, Any]:
        """What a listed choice means."""
        if choice.value is not None:
            return {question.key: question.option.parse(choice.value), **dict(choice.also)}
        if question.key == "source":
            return {question.key: self._ask(choice.file_question, "", _existing_wav)}
        name, exists = self._new_file(choice.file_question, choice.file_name, kinds.wav)
        return {question.key: name, "overwrite": exists}

    def _new_file(self, text: str, default: str, parse: Callable[[str], str]) -> tuple[str, bool]:
        """The name of a file to write, and whether it exists and may be replaced."""
        while True:
            name = self._ask(text, default, lambda answer: parse(answer or default))
            exists = os.path.exists(name)
            if not exists or self._agrees(f"{name} exists: replace it"):
                return name, exists

    def _agrees(self, text: str) -> bool:
        def parse(answer: str) -> bool:
            word = answer.lower() or "no"
            if word not in questions.YES_OR_NO:
                raise ValueError(f"{answer!r} is neither yes nor no")
            return kinds.truth(questions.YES_OR_NO[word])

        return self._ask(text, "no", parse)

    def _list(self, labels: Sequence[str], first: int = 1) -> None:
        for number, label in enumerate(labels, first):
            self.write(f"{number:>3}  {label}")

    def _ask(self, text: str, default: str, parse: Callable[[str], _Answer]) -> _Answer:
        """Asks until `parse` takes the answer; Enter gives it ""."""
        prompt = f"{text} [{default}]: " if default else f"{text}: "
        while True:
            answer = self.read_line(prompt).strip()
            try:
                return parse(answer)
            except (ValueError, ConfigError) as error:
                self.write(str(error))


def _existing_wav(answer: str) -> str:
    if not os.path.isfile(kinds.wav(answer)):
        raise ValueError(f"there is no file {answer!r}")
    return answer
