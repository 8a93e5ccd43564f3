"""The options of `echowarp cache`, and the settings that they make."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import Enum, auto
from reprlib import repr as short_repr
from typing import Any, BinaryIO

from echowarp.config import kinds
from echowarp.config.arguments import given_options, value_of
from echowarp.config.kinds import Range, Value
from echowarp.config.option import Option
from echowarp.config.password import PASSWORD_NOTICE, VARIABLE, read_password
from echowarp.errors import ConfigError

DEFAULT_SERVER = "ws://localhost:8080/audio"


class Job(Enum):
    """What is to be done."""

    ROUND_TRIP = auto()
    """Upload, download, compare."""
    UPLOAD = auto()
    DOWNLOAD = auto()
    LIST = auto()
    PLAY = auto()
    HELP = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings:
    """Checked settings of one run; meanings and ranges stand in the table below.

    is_password_given: it was asked for, not found in the environment.
    """

    input: str | None = None
    server: str = DEFAULT_SERVER
    output: str | None = None
    upload_only: bool = False
    download: str | None = None
    play: str | None = None
    list: bool = False
    id: str | None = None
    resume: bool = False
    overwrite: bool = False
    sink: str = "device"
    start: float = 0.0
    fingerprint: str | None = None
    insecure: bool = False
    password: str | None = field(default=None, repr=False)
    password_file: str | None = None
    is_password_given: bool = False
    verbose: bool = False
    quiet: bool = False

    @property
    def job(self) -> Job:
        """What is to be done."""
        if self.list:
            return Job.LIST
        if self.play is not None:
            return Job.PLAY
        if self.download is not None:
            return Job.DOWNLOAD
        return Job.UPLOAD if self.upload_only else Job.ROUND_TRIP


_DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(CacheSettings)}


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheOption(Option):
    """An option of this table: its key is a field of CacheSettings."""

    @property
    def default(self) -> Value | None:
        """What holds when it is not given."""
        default: Value | None = _DEFAULTS.get(self.key or "")
        return default


def _fingerprint(text: str) -> str:
    """A SHA-256 in hexadecimal digits, with or without colons between the bytes."""
    digits = text.lower().removeprefix("sha256:").replace(":", "")
    if not re.fullmatch("[0-9a-f]{64}", digits):
        raise ValueError(f"{short_repr(text)} is not a SHA-256: it has 64 hexadecimal digits")
    return digits


def _output(text: str) -> str:
    if text == "-":
        raise ValueError("it is no file, which appears when all is verified: --play ID --sink -")
    return kinds.path(text)


def _id(text: str) -> str:
    if not text:
        raise ValueError("it is empty: give an id")
    return text


HELP = CacheOption(key=None, flags=("-h", "--help"), help="show this help and exit")

CACHE_OPTIONS: tuple[CacheOption, ...] = (
    HELP,
    CacheOption(
        key="input",
        flags=("-i", "--input"),
        metavar="FILE",
        parse=kinds.path,
        help="upload FILE, download it again and compare the two",
    ),
    CacheOption(
        key="server",
        flags=("-s", "--server"),
        metavar="URI",
        parse=kinds.path,
        help="where the server is: ws://HOST:PORT/audio, or wss:// where it has a password",
    ),
    CacheOption(
        key="output",
        flags=("-o", "--output"),
        metavar="FILE",
        parse=_output,
        help="where the download goes; made from the id if not given",
    ),
    CacheOption(
        key="upload_only",
        flags=("--upload_only",),
        help="do not download what was uploaded",
    ),
    CacheOption(
        key="download",
        flags=("--download",),
        metavar="ID",
        parse=_id,
        help="only download, the file of that id",
    ),
    CacheOption(
        key="play",
        flags=("--play",),
        metavar="ID",
        parse=_id,
        help="play a WAV file of the server as it comes",
    ),
    CacheOption(
        key="list",
        flags=("--list",),
        help="print what the server has on standard output: id, bytes, SHA-256, time",
    ),
    CacheOption(
        key="id",
        flags=("--id",),
        metavar="ID",
        parse=_id,
        help="id of the upload; stream- and 8 digits if not given",
    ),
    CacheOption(
        key="resume",
        flags=("--resume",),
        help="go on with a download that was broken off, and upload nothing that is there already",
    ),
    CacheOption(
        key="overwrite",
        flags=("--overwrite",),
        help="replace an existing output; without it, it is refused",
    ),
    CacheOption(
        key="sink",
        flags=("--sink",),
        metavar="SINK",
        parse=kinds.sink,
        help="where --play plays: device, null, a path that ends in .wav, or - for raw s16le on "
        "standard output",
    ),
    CacheOption(
        key="start",
        flags=("--start",),
        metavar="SECONDS",
        parse=Range(float, 0, kinds.MAX_SECONDS),
        help="where in the file --play begins",
    ),
    CacheOption(
        key="fingerprint",
        flags=("--fingerprint",),
        metavar="SHA256",
        parse=_fingerprint,
        help="trust the server whose certificate has this fingerprint, which it logs when it "
        "starts, and no other",
    ),
    CacheOption(
        key="insecure",
        flags=("--insecure",),
        help="trust any certificate: whoever is on the way can read all, and the password",
    ),
    CacheOption(
        key="password",
        flags=("-p", "--password"),
        metavar="TEXT",
        parse=kinds.secret,
        help="the server's password; in a command line other users of the machine can see it, "
        f"so rather set {VARIABLE} or give --password_file",
    ),
    CacheOption(
        key="password_file",
        flags=("--password_file",),
        metavar="FILE",
        parse=kinds.path,
        help="file whose first line is the password, - for standard input",
    ),
    CacheOption(key="verbose", flags=("-v", "--verbose"), help="say more"),
    CacheOption(key="quiet", flags=("-q", "--quiet"), help="say only warnings and errors"),
)

_NAMES = {option.key: option.name for option in CACHE_OPTIONS}

_EXCLUSIVE = (("fingerprint", "insecure"), ("verbose", "quiet"), ("password", "password_file"))
_JOBS = ("input", "download", "play", "list")
_NEEDS: dict[str, tuple[Job, ...]] = {
    "output": (Job.ROUND_TRIP, Job.DOWNLOAD),
    "overwrite": (Job.ROUND_TRIP, Job.DOWNLOAD, Job.PLAY),
    "resume": (Job.ROUND_TRIP, Job.UPLOAD, Job.DOWNLOAD),
    "upload_only": (Job.UPLOAD,),
    "id": (Job.ROUND_TRIP, Job.UPLOAD),
    "sink": (Job.PLAY,),
    "start": (Job.PLAY,),
}
"""With what each option has an effect; elsewhere it is an error: the user meant another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheInvocation:
    """The command line of `echowarp cache`, understood. notices: lines for the user."""

    job: Job
    settings: CacheSettings = field(default_factory=CacheSettings)
    notices: tuple[str, ...] = ()


def parse_cache_line(
    argv: Sequence[str], environ: Mapping[str, str], *, stdin: BinaryIO | None = None
) -> CacheInvocation:
    """Understands the arguments after `echowarp cache`.

    Reads the password file; `stdin` stands for standard input in tests. Raises
    ConfigError, one line, for whatever is wrong.
    """
    given = given_options(argv, CACHE_OPTIONS)
    if HELP in given:
        return CacheInvocation(job=Job.HELP)
    values = {option.key: value_of(given, option) for option in given if option.key}
    settings = CacheSettings(**values)
    _check(settings, set(values))
    notices = () if settings.password is None else (PASSWORD_NOTICE,)
    if settings.password is not None:
        settings = replace(settings, is_password_given=True)
    elif settings.password_file is not None:
        password = read_password(settings.password_file, stdin)
        settings = replace(settings, password=password, is_password_given=True)
    else:
        settings = replace(settings, password=environ.get(VARIABLE) or None)
    return CacheInvocation(job=settings.job, settings=settings, notices=notices)


def _check(settings: CacheSettings, given: set[str]) -> None:
    jobs = [_NAMES[key] for key in _JOBS if key in given]
    if not jobs:
        raise ConfigError(
            "nothing to do: give --input FILE, --download ID, --play ID, --list or --help"
        )
    if len(jobs) > 1:
        raise ConfigError(f"{jobs[0]} and {jobs[1]} exclude each other: give one of them")
    for key in _NEEDS:
        if key in given and settings.job not in _NEEDS[key]:
            name = "--upload_only" if settings.upload_only and "input" in given else jobs[0]
            raise ConfigError(f"{_NAMES[key]} has no meaning with {name}")
    for one, other in _EXCLUSIVE:
        if {one, other} <= given:
            raise ConfigError(
                f"{_NAMES[one]} and {_NAMES[other]} exclude each other: give one of them"
            )
