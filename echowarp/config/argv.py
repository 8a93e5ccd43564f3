"""The reader of the command line."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from enum import Enum, auto
from typing import Any, BinaryIO, NoReturn

from echowarp.config import options
from echowarp.config.checks import check
from echowarp.config.conf import load_conf
from echowarp.config.impair import CLEAN, Impairment, parse_impairment
from echowarp.config.option import Option
from echowarp.config.options import OPTIONS
from echowarp.config.password import (
    CODE_VARIABLE,
    VARIABLE,
    saved_password_notice,
    with_code,
    with_password,
)
from echowarp.config.settings import Settings
from echowarp.errors import ConfigError

PASSWORD_NOTICE = (
    "other users of this machine can see a password in the command line: "
    f"better set {VARIABLE} or give --password_file"
)
CODE_NOTICE = (
    f"other users of this machine can see a code in the command line: better set {CODE_VARIABLE}"
)


class Command(Enum):
    """What the command line asks for."""

    RUN = auto()
    LIST_DEVICES = auto()
    LIST_USERS = auto()
    SELF_TEST = auto()
    SIMULATE = auto()
    VERSION = auto()
    HELP = auto()
    ASK = auto()
    """No arguments at all: the prompts ask for the settings."""


_COMMANDS = {
    options.HELP: Command.HELP,
    options.VERSION: Command.VERSION,
    options.LIST_DEVICES: Command.LIST_DEVICES,
    options.LIST_USERS: Command.LIST_USERS,
    options.SELF_TEST: Command.SELF_TEST,
    options.SIMULATE: Command.SIMULATE,
}
"""The first of them that was given is what happens."""

TESTS = (Command.SELF_TEST, Command.SIMULATE)
TESTED = {
    Command.SELF_TEST: (
        *("duration", "latency", "block_ms", "sample_rate", "channels"),
        *("is_ssl", "is_integrity_control", "verbose"),
        *("device_encoding_names", "ignore_device_encoding_names"),
    ),
    Command.SIMULATE: ("duration", "latency", "block_ms"),
}
"""The settings that a test minds; it brings the others along."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One command line, understood.

    settings: checked and with their password for RUN and LIST_USERS, unchecked for LIST_DEVICES and
    the tests, the defaults for the rest; save_config: the file to write them to
    before running, or None; impairment: of the tests' network; notices: lines for
    the user.
    """

    command: Command
    settings: Settings = field(default_factory=Settings)
    save_config: str | None = None
    impairment: Impairment = CLEAN
    notices: tuple[str, ...] = ()


def parse_command_line(
    argv: Sequence[str], environ: Mapping[str, str], *, stdin: BinaryIO | None = None
) -> Invocation:
    """Understands the arguments after the program's name.

    Reads the config file and the password file that they name; `stdin` stands for
    standard input in tests. Raises ConfigError, one line, for whatever is wrong.
    """
    if not argv:
        return Invocation(command=Command.ASK)
    given = _given(argv)
    command = next((_COMMANDS[option] for option in _COMMANDS if option in given), Command.RUN)
    if command in (Command.HELP, Command.VERSION):
        return Invocation(command=command)
    if options.SELF_TEST in given and options.SIMULATE in given:
        raise ConfigError("--self_test and --simulate are two tests: give one of them")
    if command in TESTS:
        return _test(given, command)
    if options.IMPAIR in given:
        raise ConfigError("--impair works with --self_test or --simulate only: give one of them")
    if options.CONFIG_FILE in given:
        invocation = _from_file(given, command)
    else:
        invocation = _from_options(given, command)
    if command is Command.LIST_DEVICES:
        return invocation
    settings = with_code(with_password(invocation.settings, environ, stdin), environ)
    notices = invocation.notices
    if invocation.save_config is not None:
        notices += saved_password_notice(invocation.save_config, settings)
    return replace(invocation, settings=settings, notices=notices)


def _from_file(given: Mapping[Option, str], command: Command) -> Invocation:
    settings, notices = load_conf(_value(given, options.CONFIG_FILE))
    kept = (options.CONFIG_FILE, *_COMMANDS)
    ignored = ", ".join(option.name for option in given if option not in kept)
    if ignored:
        notices = (f"ignored, as {options.CONFIG_FILE.name} is given: {ignored}", *notices)
    return Invocation(command=command, settings=settings, notices=notices)


def _from_options(given: Mapping[Option, str], command: Command) -> Invocation:
    settings = Settings(**{option.key: _value(given, option) for option in given if option.key})
    if command is Command.LIST_DEVICES:
        return Invocation(command=command, settings=settings)
    if command is Command.LIST_USERS:
        settings = replace(settings, is_server=False)
    notices = check(settings, lambda option: option.name)
    if settings.password is not None:
        notices += (PASSWORD_NOTICE,)
    if settings.e2e is not None:
        notices += (CODE_NOTICE,)
    save_config = _value(given, options.SAVE_CONFIG) if options.SAVE_CONFIG in given else None
    if save_config is not None and os.path.exists(save_config) and not settings.overwrite:
        raise ConfigError(f"{save_config} exists: give another name, or --overwrite to replace it")
    return Invocation(command=command, settings=settings, save_config=save_config, notices=notices)


def _test(given: Mapping[Option, str], command: Command) -> Invocation:
    """A test takes what it minds, from the command line alone, and tells what it does not."""
    texts = {option: _value(given, option) for option in given}
    minded = {o.key: value for o, value in texts.items() if o.key in TESTED[command]}
    known = (options.IMPAIR, *_COMMANDS)
    idle = [o.name for o in given if o not in known and o.key not in minded]
    name = next(option.name for option in _COMMANDS if _COMMANDS[option] is command)
    return Invocation(
        command=command,
        settings=Settings(**minded),
        impairment=parse_impairment(texts[options.IMPAIR]) if options.IMPAIR in texts else CLEAN,
        notices=(f"no effect with {name}: {', '.join(idle)}",) if idle else (),
    )


class _Parser(argparse.ArgumentParser):
    """argparse for its prefixes and joined short flags; values are left as text."""

    def __init__(self) -> None:
        super().__init__(prog="echowarp", add_help=False, allow_abbrev=True)
        for option in OPTIONS:
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


def _given(argv: Sequence[str]) -> dict[Option, str]:
    """The options that were given, in the table's order, with the texts of their values."""
    namespace, extras = _Parser().parse_known_args([_with_underscores(word) for word in argv])
    if extras:
        raise ConfigError(_about_unknown(extras[0]))
    texts = vars(namespace)
    return {option: texts[option.name] for option in OPTIONS if option.name in texts}


def _value(given: Mapping[Option, str], option: Option) -> Any:
    try:
        return option.parse(given[option])
    except ValueError as error:
        raise ConfigError(f"{option.name}: {error}") from None


def _with_underscores(word: str) -> str:
    """Spells the name of a long option as the table does; leaves values alone."""
    name, equals, value = word.partition("=")
    spelled = "--" + name[2:].replace("-", "_")
    is_option = word.startswith("--") and any(o.name.startswith(spelled) for o in OPTIONS)
    return spelled + equals + value if is_option else word


def _about_unknown(word: str) -> str:
    if not word.startswith("-"):
        return f"{word!r} is not an option, and belongs to none: see --help"
    name = word.partition("=")[0]
    names = [option.name.removeprefix("--") for option in OPTIONS]
    near = get_close_matches(name.lstrip("-").replace("-", "_"), names, n=1)
    hint = f"did you mean --{near[0]}?" if near else "see --help"
    return f"there is no option {name!r}: {hint}"
