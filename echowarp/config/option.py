"""What an option is; the table of them is `echowarp.config.options`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

from echowarp.config import kinds
from echowarp.config.kinds import Parser, Range, Value
from echowarp.config.settings import Settings

_DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(Settings)}


class Role(Enum):
    """Who an option has an effect on."""

    BOTH = "server and client"
    SERVER = "server"
    CLIENT = "client"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option.

    key: its name in a config file and in `Settings`, or None for what belongs to
    the command line alone; flags: its spellings there, the long one last;
    metavar: what its value is called, "" where the flag stands alone; parse: from
    the value's text, of `kinds`; help: what it means (for a flag, what it turns
    on); role: whom it affects; is_original: it is as old as the program;
    question: how the prompts ask for it, "" where they do not.
    """

    key: str | None
    flags: tuple[str, ...]
    metavar: str = ""
    parse: Parser = kinds.truth
    help: str
    role: Role = Role.BOTH
    is_original: bool = False
    question: str = ""

    @property
    def name(self) -> str:
        """The long spelling, such as `--udp_port`."""
        return self.flags[-1]

    @property
    def default(self) -> Value | None:
        """What holds when it is not given."""
        default: Value | None = _DEFAULTS.get(self.key or "")
        return default

    @property
    def meaning(self) -> str:
        """The help, with the range of a number that has one."""
        is_range = isinstance(self.parse, Range) and self.parse.high is not None
        return f"{self.help} ({self.parse})" if is_range else self.help

    @property
    def default_text(self) -> str:
        """The default of a value for people's eyes, "" where there is none, and for a flag."""
        default = self.default if self.metavar else None
        return f"{default:g}" if isinstance(default, float) else value_text(default)


def value_text(value: Value | None) -> str:
    """The text that an option's parser reads back as `value`; "" for None."""
    return "" if value is None else str(value)
