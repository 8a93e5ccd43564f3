"""Where the password, and the code of --e2e, come from when they are not among the options."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import BinaryIO

from echowarp.config.settings import Settings
from echowarp.errors import ConfigError

VARIABLE = "ECHOWARP_PASSWORD"
CODE_VARIABLE = "ECHOWARP_E2E"
STDIN = "-"
MAX_LINE_BYTES = 8192
"""Longer than any password may be; what is longer is another kind of file."""

PASSWORD_NOTICE = (
    "other users of this machine can see a password in the command line: "
    f"better set {VARIABLE} or give --password_file"
)
CODE_NOTICE = (
    f"other users of this machine can see a code in the command line: better set {CODE_VARIABLE}"
)


def with_password(
    settings: Settings, environ: Mapping[str, str], stdin: BinaryIO | None = None
) -> Settings:
    """Completes the password: an option, else the password file, else the environment.

    An empty variable counts as none. `stdin` stands for standard input in tests.
    Raises ConfigError when the password file gives no password.
    """
    if settings.password is not None:
        return replace(settings, password_file=None)
    if settings.password_file is not None:
        return replace(settings, password=read_password(settings.password_file, stdin))
    return replace(settings, password=environ.get(VARIABLE) or None)


def with_code(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Completes the code of whoever talks from the environment, where it was not given."""
    if settings.e2e is not None or not settings.talks:
        return settings
    return replace(settings, e2e=environ.get(CODE_VARIABLE) or None)


def saved_password_notice(path: str, settings: Settings) -> tuple[str, ...]:
    """The notice that a config file, once written, holds what is secret, if it does."""
    secrets = []
    if settings.password is not None and settings.password_file is None:
        secrets.append("the password")
    if settings.e2e is not None:
        secrets.append("the code")
    return (f"{path} holds {' and '.join(secrets)}: keep it to yourself",) if secrets else ()


def read_password(path: str, stdin: BinaryIO | None = None) -> str:
    """The first line of a UTF-8 file (`-`: of standard input), without its line end.

    Raises ConfigError when it cannot be read, is empty, or is not text.
    """
    name = "standard input" if path == STDIN else path
    try:
        if path == STDIN:
            line = (stdin or _standard_input()).readline(MAX_LINE_BYTES)
        else:
            with open(path, "rb") as file:
                line = file.readline(MAX_LINE_BYTES)
    except OSError as error:
        raise ConfigError(f"cannot read the password from {name}: {error.strerror}") from None
    try:
        password = line.decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        password = "\0"
    if "\0" in password or len(line) == MAX_LINE_BYTES:
        raise ConfigError(f"{name} is not a password file: its first line is not UTF-8 text")
    if not password:
        raise ConfigError(f"no password in {name}: its first line is empty")
    return password


def _standard_input() -> BinaryIO:
    if sys.stdin is None:  # the program was started with it closed
        raise ConfigError("cannot read the password from standard input: it is closed")
    return sys.stdin.buffer
