"""The reader and the writer of config files.

A config file is UTF-8 text: the line `[echowarp_conf]`, then `key=value` lines,
comment lines that begin with # or ;, and blank lines. A value is all that
follows the first =, without the spaces at its ends; one in double quotes keeps
them, and there \\" \\\\ \\n \\r \\t and \\uXXXX stand for what cannot be written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, BinaryIO

from echowarp.config.checks import check
from echowarp.config.files import read_text, write_text
from echowarp.config.option import Option, value_text
from echowarp.config.options import BY_KEY, OPTIONS
from echowarp.config.password import with_code, with_password
from echowarp.config.quoting import quote, unquote
from echowarp.config.settings import Settings
from echowarp.errors import ConfigError

SECTION = "[echowarp_conf]"
COMMENT_MARKS = ("#", ";")


def read_conf(
    path: str, environ: Mapping[str, str], stdin: BinaryIO | None = None
) -> tuple[Settings, tuple[str, ...]]:
    """The settings of a config file with their password, and notices for the user.

    The environment fills a missing password; `stdin` stands for standard input in
    tests. Raises ConfigError that names file, line and key.
    """
    settings, notices = load_conf(path)
    return with_code(with_password(settings, environ, stdin), environ), notices


def load_conf(path: str) -> tuple[Settings, tuple[str, ...]]:
    """What the file itself says, without looking for a password elsewhere."""
    return parse_conf(read_text(path), path)


def parse_conf(text: str, name: str) -> tuple[Settings, tuple[str, ...]]:
    """The settings in the text of a config file called `name`, and notices.

    Raises ConfigError that names file, line and key.
    """
    values: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for line, key, raw in _entries(text, name):
        if key in lines:
            problem = f"{key}: stands in line {lines[key]} already: remove one of them"
            raise _error(name, line, problem)
        lines[key] = line
        values[key] = _value(name, line, key, raw)
    settings = Settings(**values)
    try:
        return settings, tuple(f"{name}: {notice}" for notice in check(settings))
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from None


def _entries(text: str, name: str) -> Iterator[tuple[int, str, str]]:
    """Line number, key and raw value of every `key=value` line."""
    section_line = 0
    for line, whole in enumerate(text.split("\n"), start=1):
        content = whole.strip()
        if not content or content.startswith(COMMENT_MARKS):
            continue
        if content.startswith("["):
            if content != SECTION:
                raise _error(name, line, f"the one section there is, is {SECTION}: write that")
            if section_line:
                raise _error(name, line, f"{SECTION} stands in line {section_line} already")
            section_line = line
            continue
        if not section_line:
            raise _error(name, line, f"the section is missing: write {SECTION} above this line")
        key, equals, raw = content.partition("=")
        if not equals:
            raise _error(name, line, "not key=value: mend it, or put # before it")
        yield line, key.strip(), raw.strip()
    if not section_line:
        raise _error(name, 1, f"the section is missing: write {SECTION} here")


def _option(key: str) -> Option:
    """The option of a key. Raises ValueError with the nearest one there is."""
    if key in BY_KEY:
        return BY_KEY[key]
    keys = {option.name.removeprefix("--"): option.key for option in OPTIONS if option.key}
    keys |= {key: key for key in BY_KEY}
    near = get_close_matches(key, keys, n=1)
    hint = f"did you mean {keys[near[0]]}?" if near else "mend it, or put # before it"
    raise ValueError(f"there is no such key: {hint}")


def _value(name: str, line: int, key: str, raw: str) -> Any:
    """The value of one line; an empty one is the default of a text, and of an option without."""
    try:
        option = _option(key)
        if raw or isinstance(option.default, (bool, int, float)):
            return option.parse(unquote(raw))
        return option.default
    except ValueError as error:
        shown = key if key.isprintable() else ascii(key)
        raise _error(name, line, f"{shown}: {error}") from None


def _error(name: str, line: int, problem: str) -> ConfigError:
    return ConfigError(f"{name}, line {line}: {problem}")


def format_conf(settings: Settings) -> str:
    """The text of a config file with the settings that are not the default.

    The role is always there, for the reader's sake. A password that came from a
    password file stays there.
    """
    lines = [SECTION]
    for key, option in BY_KEY.items():
        value = getattr(settings, key)
        if key == "password" and settings.password_file is not None:
            continue
        if value != option.default or key == "is_server":
            lines.append(f"{key}={quote(value_text(value))}")
    return "\n".join(lines) + "\n"


def write_conf(path: str, settings: Settings) -> None:
    """Writes the settings so that `read_conf` gives equal ones back.

    The file is for its owner alone and replaces an older one whole, or not at
    all. Raises ConfigError when it cannot be written.
    """
    write_text(path, format_conf(settings))
