"""The entry point: command line to settings, settings to a run, errors to an exit status."""

from __future__ import annotations

import datetime
import getpass
import glob
import io
import logging
import os
import signal
import stat
import sys
import traceback
from collections.abc import Sequence
from typing import TextIO

from echowarp import __version__
from echowarp.config.argv import CACHE, TESTS, Command, Invocation, parse_command_line
from echowarp.config.conf import write_conf
from echowarp.config.help import cache_help_text, help_text
from echowarp.config.settings import Settings
from echowarp.errors import ConfigError, EchoWarpError, StorageError
from echowarp.ui.logs import set_up_logging
from echowarp.ui.terminal import Terminal, wants_live_line

log = logging.getLogger("echowarp.main")  # also when this module is run as __main__


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program. Returns its exit status.

    argv: the arguments after the program's name, None for the process's own.
    """
    _mend_standard_streams()
    # Until a run has begun there is nobody to say goodbye to.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    arguments = sys.argv[1:] if argv is None else list(argv)
    verbose = bool({"-v", "--verbose"} & set(arguments))
    try:
        if arguments[:1] == [CACHE]:
            _cache(arguments[1:])
        else:
            _dispatch(parse_command_line(arguments, os.environ))
    except EchoWarpError as error:
        if str(error):
            _complain(str(error), logging.ERROR if error.exit_status else logging.INFO)
        return error.exit_status
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        # Whoever read our help or our table has seen enough.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        return 0
    except Exception as error:
        if verbose:
            traceback.print_exc()
        _complain(f"unexpected failure: {type(error).__name__}: {error}")
        return EchoWarpError.exit_status
    finally:
        for handler in logging.getLogger("echowarp").handlers:
            handler.flush()
    return 0


def _mend_standard_streams() -> None:
    """Closed ones become the null device, and no name is too strange to be printed."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _complain(text: str, level: int = logging.ERROR) -> None:
    line = " ".join(text.splitlines())
    if logging.getLogger("echowarp").handlers:
        log.log(level, line)
    else:
        print(f"echowarp: {line}", file=sys.stderr)


def _dispatch(invocation: Invocation) -> None:
    if invocation.command is Command.HELP:
        _print(help_text())
    elif invocation.command is Command.VERSION:
        _print(f"echowarp {__version__}")
    elif invocation.command is Command.LIST_DEVICES:
        _list_devices(invocation.settings)
    elif invocation.command is Command.LIST_USERS:
        _list_users(invocation.settings, invocation.notices)
    elif invocation.command in TESTS:
        _run_test(invocation)
    elif invocation.command is Command.ASK:
        settings, save_to = _ask()
        _run(settings, save_to, ())
    else:
        _run(invocation.settings, invocation.save_config, invocation.notices)


def _cache(arguments: Sequence[str]) -> None:
    """Runs `echowarp cache`."""
    from echowarp.config.cache_options import Job, parse_cache_line

    invocation = parse_cache_line(arguments, os.environ)
    settings = invocation.settings
    if invocation.job is Job.HELP:
        _print(cache_help_text())
        return
    from echowarp.app.run_cache import run_cache

    terminal = _open_terminal(verbose=settings.verbose, quiet=settings.quiet)
    for notice in invocation.notices:
        log.warning(notice)
    try:
        run_cache(settings, terminal, _print)
    finally:
        terminal.clear()


def _list_devices(settings: Settings) -> None:
    from echowarp.device.card import device_table

    repair = not settings.ignore_device_encoding_names
    _print(device_table(settings.device_encoding_names, repair))


def _list_users(settings: Settings, notices: Sequence[str]) -> None:
    from echowarp.app.list_users import list_users

    _terminal_of(settings)
    for notice in notices:
        log.warning(notice)
    for line in list_users(settings):
        _print(line)


def _print(text: str) -> None:
    """To standard output, at once."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StorageError(f"standard output cannot be written: {error.strerror}") from error


def _ask() -> tuple[Settings, str | None]:
    from echowarp.app.devices import device_choices
    from echowarp.ui.prompts import NOBODY_ANSWERS, ask_settings

    if _nobody_answers():
        raise ConfigError(NOBODY_ANSWERS)

    def read_line(prompt: str) -> str:
        sys.stderr.write(prompt)
        sys.stderr.flush()
        return input()

    answers = ask_settings(
        conf_files=sorted(glob.glob("*.conf")),
        devices=device_choices,
        read_line=read_line,
        read_hidden=getpass.getpass if sys.stdin.isatty() else read_line,
        write=lambda line: print(line, file=sys.stderr),
        environ=os.environ,
    )
    return answers.settings, answers.save_to


def _nobody_answers() -> bool:
    """Whether standard input has ended before the first question. Where a program may
    write answers once it sees a question, it is not waited for."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError):
        return False
    waits = sys.stdin.isatty() or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
    buffer = sys.stdin.buffer
    return not waits and isinstance(buffer, io.BufferedReader) and not buffer.peek(1)


def _run(settings: Settings, save_to: str | None, notices: Sequence[str]) -> None:
    """Runs what the settings say."""
    from echowarp.app.interpreter import make_ready

    # One of them: together they take a tenth of the time to the first sound.
    if settings.is_server:
        from echowarp.app.run_server import run_server as run
    else:
        from echowarp.app.run_client import run_client as run

    terminal = _terminal_of(settings)
    for notice in notices:
        log.warning(notice)
    if save_to is not None:
        write_conf(save_to, settings)
        log.info("settings saved to %s", save_to)
    make_ready()
    try:
        run(settings, terminal)
    finally:
        terminal.clear()


def _run_test(invocation: Invocation) -> None:
    """Runs --self_test or --simulate. Raises EchoWarpError when not all is well."""
    from echowarp.app.self_test import run_self_test
    from echowarp.app.simulate import run_simulation

    terminal = _terminal_of(invocation.settings)
    for notice in invocation.notices:
        log.warning(notice)
    is_real = invocation.command is Command.SELF_TEST
    run = run_self_test if is_real else run_simulation
    run(invocation.settings, invocation.impairment, terminal.print, terminal.show)


def _terminal_of(settings: Settings) -> Terminal:
    return _open_terminal(
        verbose=settings.verbose, quiet=settings.quiet, is_error_log=settings.is_error_log
    )


def _open_terminal(*, verbose: bool, quiet: bool, is_error_log: bool = False) -> Terminal:
    """The terminal, with the log set up to go there: once in a run."""
    live = wants_live_line(sys.stderr, os.environ, quiet=quiet)
    terminal = Terminal(_own_stderr(), live=live)
    try:
        set_up_logging(
            terminal,
            verbose=verbose,
            quiet=quiet,
            error_file=is_error_log,
            today=datetime.date.today(),
        )
    except OSError as error:
        raise ConfigError(f"--is_error_log: {error.filename}: {error.strerror}") from error
    return terminal


def _own_stderr() -> TextIO:
    """Standard error under a descriptor of our own: while a device opens, what C
    libraries write to the common one is caught."""
    try:
        own = os.dup(sys.stderr.fileno())
    except (OSError, ValueError):
        return sys.stderr
    encoding = sys.stderr.encoding
    return open(own, "w", encoding=encoding, errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
