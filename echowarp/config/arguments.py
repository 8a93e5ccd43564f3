"""Takes a command line apart by a table of options."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from echowarp.config.option import Option
from echowarp.errors import ConfigError


def given_options(argv: Sequence[str], table: Sequence[Option]) -> dict[Option, str]:
    """The options of a table that were given, in its order, with the texts of their values.

    Raises ConfigError.
    """
    words = [_with_underscores(word, table) for word in argv]
    namespace, extras = _Parser(table).parse_known_args(words)
    if extras:
        raise ConfigError(_about_unknown(extras[0], table))
    texts = vars(namespace)
    return {option: texts[option.name] for option in table if option.name in texts}


def value_of(given: Mapping[Option, str], option: Option) -> Any:
    """The value of an option that was given. Raises ConfigError."""
    try:
        return option.parse(given[option])
    except ValueError as error:
        raise ConfigError(f"{option.name}: {error}") from None


class _Parser(argparse.ArgumentParser):
    """argparse for its prefixes and joined short flags; values are left as text."""

    def __init__(self, table: Iterable[Option]) -> None:
        super().__init__(prog="echowarp", add_help=False, allow_abbrev=True)
        for option in table:
            if option.metavar:
                self.add_argument(*option.flags, dest=option.name, default=argparse.SUPPRESS)
            else:
                self.add_argument(
                    *option.flags,
                    dest=option.name,
                    default=argparse.SUPPRESS,
                    action="store_const",
                    const=str(not option.default),
                )

    def error(self, message: str) -> NoReturn:
        line = " ".join(message.removeprefix("argument ").split())
        # A value may be a password: what argparse repeats of it is left out.
        line = re.sub(r"ignored explicit argument .*", "takes no value", line)
        line = re.sub(r"=.* could match", " could match", line)
        if "expected one argument" in line:
            line += " (one that begins with - is joined by =, as in --password=-secret)"
        raise ConfigError(line)


def _with_underscores(word: str, table: Iterable[Option]) -> str:
    """Spells the name of a long option as the table does; leaves values alone."""
    name, equals, value = word.partition("=")
    spelled = "--" + name[2:].replace("-", "_")
    is_option = word.startswith("--") and any(o.name.startswith(spelled) for o in table)
    return spelled + equals + value if is_option else word


def _about_unknown(word: str, table: Iterable[Option]) -> str:
    if not word.startswith("-"):
        return f"{word!r} is not an option, and belongs to none: see --help"
    name = word.partition("=")[0]
    names = [option.name.removeprefix("--") for option in table]
    near = get_close_matches(name.lstrip("-").replace("-", "_"), names, n=1)
    hint = f"did you mean --{near[0]}?" if near else "see --help"
    return f"there is no option {name!r}: {hint}"
