"""The text of --help, written from the table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from echowarp.config.cache_options import CACHE_OPTIONS
from echowarp.config.option import Option, Role
from echowarp.config.options import OPTIONS

WIDTH = 80
TEXT_COLUMN = 30

INTRODUCTION = """\
usage: echowarp [OPTION]...

Sends sound from one machine, the server, to others, its clients. Those may
also call each other through it, meet in rooms, and talk back.
Without any option it asks what it needs to know. What keeps files at a server
is a command of its own: see echowarp cache --help.
"""

CACHE_INTRODUCTION = """\
usage: echowarp cache -i FILE [OPTION]...
       echowarp cache --download ID | --play ID | --list [OPTION]...

Keeps files at a server: sends one there, fetches it again, compares the two by
SHA-256, and says how fast that went.
"""

EXIT_STATUSES = """\
Exit status: 0 done or stopped, 1 unexpected failure, 2 usage or configuration,
3 refused by the server or a call not answered, 4 could not connect or gave up,
5 audio device.
"""

CACHE_EXIT_STATUSES = """\
Exit status: 0 done or stopped, 1 unexpected failure or not the same file, 2
usage or configuration, 3 refused by the server, 4 could not connect, 5 audio
device.
"""


def help_text() -> str:
    """The whole text, at most 80 columns wide."""
    return "\n".join((INTRODUCTION, *(_group(role) for role in Role), EXIT_STATUSES))


def cache_help_text() -> str:
    """The same for `echowarp cache`."""
    lines = [line for option in CACHE_OPTIONS for line in _lines(option)]
    return "\n".join((CACHE_INTRODUCTION, "Options:", *lines, "", CACHE_EXIT_STATUSES))


def _group(role: Role) -> str:
    lines = [line for option in OPTIONS if option.role is role for line in _lines(option)]
    return "\n".join((f"{role.value.capitalize()}:", *lines, ""))


def _lines(option: Option) -> Iterator[str]:
    indent = "  " if len(option.flags) > 1 else "      "
    left = f"{indent}{', '.join(option.flags)} {option.metavar}".rstrip()
    text = option.meaning
    if option.default_text:
        text += f" [{option.default_text}]"
    if len(left) > TEXT_COLUMN - 2:
        yield left
        left = ""
    margin = " " * TEXT_COLUMN
    yield from textwrap.wrap(
        text, WIDTH - 1, initial_indent=left.ljust(TEXT_COLUMN), subsequent_indent=margin
    )
