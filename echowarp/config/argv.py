"""The reader of the command line."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from enum import Enum, auto
from typing import BinaryIO

from echowarp.config import options
from echowarp.config.arguments import given_options, value_of
from echowarp.config.checks import check
from echowarp.config.conf import load_conf
from echowarp.config.impair import CLEAN, Impairment, parse_impairment
from echowarp.config.option import Option
from echowarp.config.options import OPTIONS
from echowarp.config.password import (
    CODE_NOTICE,
    PASSWORD_NOTICE,
    saved_password_notice,
    with_code,
    with_password,
)
from echowarp.config.settings import Settings
from echowarp.errors import ConfigError

CACHE = "cache"
"""The first word of a command of its own."""


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
    if not argv[0].startswith("-") and get_close_matches(argv[0].lower(), (CACHE,)):
        raise ConfigError(f"there is no command {argv[0]!r}: did you mean {CACHE}?")
    given = given_options(argv, OPTIONS)
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
    settings, notices = load_conf(value_of(given, options.CONFIG_FILE))
    kept = (options.CONFIG_FILE, *_COMMANDS)
    ignored = ", ".join(option.name for option in given if option not in kept)
    if ignored:
        notices = (f"ignored, as {options.CONFIG_FILE.name} is given: {ignored}", *notices)
    return Invocation(command=command, settings=settings, notices=notices)


def _from_options(given: Mapping[Option, str], command: Command) -> Invocation:
    settings = Settings(**{option.key: value_of(given, option) for option in given if option.key})
    if command is Command.LIST_DEVICES:
        return Invocation(command=command, settings=settings)
    if command is Command.LIST_USERS:
        settings = replace(settings, is_server=False)
    notices = check(settings, lambda option: option.name)
    if settings.password is not None:
        notices += (PASSWORD_NOTICE,)
    if settings.e2e is not None:
        notices += (CODE_NOTICE,)
    save_config = value_of(given, options.SAVE_CONFIG) if options.SAVE_CONFIG in given else None
    if save_config is not None and os.path.exists(save_config) and not settings.overwrite:
        raise ConfigError(f"{save_config} exists: give another name, or --overwrite to replace it")
    return Invocation(command=command, settings=settings, save_config=save_config, notices=notices)


def _test(given: Mapping[Option, str], command: Command) -> Invocation:
    """A test takes what it minds, from the command line alone, and tells what it does not."""
    texts = {option: value_of(given, option) for option in given}
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
