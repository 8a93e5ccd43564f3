"""What the prompts ask, in order. How, in words, stands with each option of the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from echowarp.config.option import Option, Role
from echowarp.config.options import BY_KEY
from echowarp.config.settings import Settings

YES_OR_NO = {"y": "True", "yes": "True", "n": "False", "no": "False"}
"""Answers to the question of a flag, and the texts that its parser reads."""

SAVE_QUESTION = "Save these answers to a config file"
SAVE_NAME_QUESTION = "Name of the config file"
SAVE_NAME = "echowarp.conf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of the answers that a question lists.

    value: the text that the option's parser reads, or None where it is the name of a
    WAV file, which `file_question` then asks for, with the default `file_name`; also:
    what it says of other keys.
    """

    label: str
    value: str | None = None
    file_question: str = ""
    file_name: str = ""
    also: tuple[tuple[str, str | float | bool], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question about one option.

    choices: the answers to choose from, () where any text is parsed; lists_devices:
    the machine's audio devices come before the choices; is_required: there is no
    default; is_hidden: the answer is not shown; asks: whether it has a meaning after the
    answers so far, if its option's role does not tell; wording: where the option has none,
    or another; without: what no answer means, where the option has no default.
    """

    key: str
    wording: str = ""
    without: str = ""
    choices: tuple[Choice, ...] = ()
    lists_devices: bool = False
    is_required: bool = False
    is_hidden: bool = False
    asks: Callable[[Settings], bool] | None = None

    @property
    def option(self) -> Option:
        """The option that it is about."""
        return BY_KEY[self.key]

    @property
    def text(self) -> str:
        """The question in words."""
        return self.wording or self.option.question

    def concerns(self, settings: Settings) -> bool:
        """Whether it has a meaning in the role that was chosen."""
        if self.asks is not None:
            return self.asks(settings)
        idle = Role.CLIENT if settings.is_server else Role.SERVER
        return self.option.role is not idle


def _talks(settings: Settings) -> bool:
    return settings.talks


def _speaks(settings: Settings) -> bool:
    return settings.talks and settings.source != "none"


def _streams(settings: Settings) -> bool:
    return settings.is_server and settings.source != "none"


def _is_talked_back_to(settings: Settings) -> bool:
    return settings.is_server and settings.talkback


USUAL_LEVEL = 0.02
"""From which voice activation takes most voices for such."""
WAV_SINK = Choice(label="a WAV file", file_question="WAV file to write", file_name="echowarp.wav")
NOWHERE = Choice(label="nowhere", value="null")


QUESTIONS: tuple[Question, ...] = (
    Question(
        key="is_server",
        choices=(
            Choice(label="send its sound (server)", value="True"),
            Choice(label="receive sound and play it (client)", value="False"),
            Choice(
                label="talk to others: calls, rooms, an intercom (client)",
                value="False",
                also=(("nickname", ""),),
            ),
        ),
    ),
    Question(
        key="is_input_audio_device",
        choices=(
            Choice(label="a microphone or another input", value="True"),
            Choice(label="what the speakers play", value="False"),
        ),
    ),
    Question(key="nickname", is_required=True, asks=_talks),
    Question(key="call", asks=_talks),
    Question(key="room", asks=lambda settings: _talks(settings) and settings.call is None),
    Question(
        key="auto_answer",
        asks=lambda settings: _talks(settings) and not (settings.call or settings.room),
    ),
    Question(key="e2e", is_hidden=True, asks=_talks),
    Question(
        key="source",
        wording="What the others hear",
        asks=_talks,
        lists_devices=True,
        choices=(
            Choice(label="nothing: only listen", value="none"),
            Choice(label="a WAV file", file_question="WAV file to send"),
        ),
    ),
    Question(
        key="muted",
        wording="When they hear it",
        asks=_speaks,
        choices=(
            Choice(label="always", value="False"),
            Choice(label="after m is pressed: begin muted", value="True"),
            Choice(
                label="while the space bar is held down",
                value="False",
                also=(("push_to_talk", True),),
            ),
            Choice(
                label="while it is loud: voice activation",
                value="False",
                also=(("voice_activation", USUAL_LEVEL),),
            ),
        ),
    ),
    Question(
        key="voice_activation",
        wording="From which level on, a share of full scale",
        without=f"{USUAL_LEVEL:g}",
        asks=lambda settings: settings.voice_activation is not None,
    ),
    Question(
        key="source",
        asks=lambda settings: settings.is_server,
        lists_devices=True,
        choices=(
            Choice(label="a test tone", value="tone"),
            Choice(label="a WAV file", file_question="WAV file to send"),
            Choice(label="nothing: only connect those who talk (relay)", value="none"),
        ),
    ),
    Question(key="talkback", asks=_streams),
    Question(
        key="sink",
        wording="Where what they say goes",
        asks=_is_talked_back_to,
        choices=(
            Choice(label="the system's default output", value="device"),
            WAV_SINK,
            NOWHERE,
        ),
    ),
    Question(
        key="room",
        wording="Room in which they hear each other too, if any",
        asks=_is_talked_back_to,
    ),
    Question(
        key="sink",
        asks=lambda settings: not settings.is_server,
        lists_devices=True,
        choices=(WAV_SINK, NOWHERE),
    ),
    Question(key="server_address", is_required=True),
    Question(key="udp_port"),
    Question(key="password", is_hidden=True),
    Question(key="is_ssl"),
    Question(key="is_integrity_control"),
    Question(key="reconnect_attempt"),
)
