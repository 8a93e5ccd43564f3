"""The ban list's file: read leniently, replaced whole, never lost."""

from __future__ import annotations

import errno
import logging
import os
import tempfile

from echowarp.errors import ConfigError
from echowarp.session.address import IpNetwork, network_text
from echowarp.session.bans import BanList, parse_ban_list

log = logging.getLogger(__name__)

SHOWN_LINES = 5


def read_ban_file(path: str) -> BanList:
    """The bans in the file; an empty list when there is no file or it cannot be read,
    which is said."""
    text = _text(path)
    bans, bad_lines = parse_ban_list(text)
    if bad_lines:
        shown = ", ".join(map(str, bad_lines[:SHOWN_LINES]))
        more = ", ..." if len(bad_lines) > SHOWN_LINES else ""
        log.warning("%s: not an address, skipped: line %s%s", path, shown, more)
    return bans


def check_ban_file(path: str) -> None:
    """Raises ConfigError when no ban could be written there, as there is no such folder."""
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise ConfigError(f"--ban_list {path}: there is no folder {folder}")


def _text(path: str) -> str:
    if os.path.exists(path) and not os.path.isfile(path):
        log.warning("%s is no regular file; no ban is read from it", path)
        return ""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except OSError as error:
        log.warning("%s: the ban list cannot be read: %s", path, error.strerror)
        return ""


def add_ban(path: str, network: IpNetwork) -> None:
    """Adds a line to the file, everything else in it left as it stands.

    The file is replaced whole, so a crash leaves the old or the new one. When
    it cannot be written that is said, and the ban holds until the server ends.
    """
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            raise OSError(errno.EINVAL, "it is no regular file")
        try:
            with open(path, "rb") as file:
                content = file.read()
        except FileNotFoundError:
            content = b""
        if content and not content.endswith(b"\n"):
            content += b"\n"
        _replace(path, content + network_text(network).encode() + b"\n")
    except OSError as error:
        log.error(
            "%s: the ban of %s could not be saved and ends with this server: %s",
            path,
            network_text(network),
            error.strerror,
        )


def _replace(path: str, content: bytes) -> None:
    target = os.path.realpath(path)
    handle, temporary = tempfile.mkstemp(
        prefix=os.path.basename(target) + ".", dir=os.path.dirname(target)
    )
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        mode = os.stat(target).st_mode & 0o777 if os.path.exists(target) else 0o644
        os.chmod(temporary, mode)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
