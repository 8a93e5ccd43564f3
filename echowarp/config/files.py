"""Config files on the disk: read as text, replaced whole."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile

from echowarp.errors import ConfigError

MAX_FILE_BYTES = 1 << 20
"""Far more than a config file ever has; keeps a recording or a device from being read."""


def read_text(path: str) -> str:
    """The UTF-8 text of a file, without a byte order mark. Raises ConfigError."""
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}, line {line}: not UTF-8 text: save it as UTF-8") from None
    if "\0" in text or len(content) > MAX_FILE_BYTES:
        raise ConfigError(f"{path} is not a config file: it is not text, or far too long")
    return text


def write_text(path: str, text: str) -> None:
    """Replaces a file by one with `text`, readable by its owner alone.

    Whatever fails, the file is the old one or the new one, never a part.
    Raises ConfigError.
    """
    temporary = None
    try:
        content = text.encode("utf-8")
        if os.path.exists(path) and not os.path.isfile(path):
            raise OSError(errno.EINVAL, "it is no regular file")
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=".echowarp-")
        with open(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except UnicodeEncodeError:
        raise ConfigError(f"cannot write {path}: a setting in it is not Unicode text") from None
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise ConfigError(f"cannot write {path}: {error.strerror}") from None
