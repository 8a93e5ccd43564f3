"""Every error that EchoWarp raises on purpose.

    EchoWarpError            1  unexpected failure
    ├── ConfigError          2  a wrong option, config file or named file; the user edits it
    ├── RefusedError         3  the server said no; the user asks its owner, or mends the password
    ├── ConnectError         4  no connection; the user checks address, network and firewall
    ├── DeviceError          5  an audio device; the user chooses or frees another
    ├── StorageError         1  a file could not be written while running; the user makes room
    ├── MismatchError        1  what came back is not what was sent; the user tries again
    ├── ReaderGone           0  the program that read our standard output has left
    └── ProtocolError        1  bytes from outside break the protocol; parsers raise only this

The number is the exit status of the process that ends with it.
"""

from __future__ import annotations


class EchoWarpError(Exception):
    """Root of the tree. The text is one line that tells the user what to do."""

    exit_status = 1


class ConfigError(EchoWarpError):
    """A wrong option, config file, or file named by one."""

    exit_status = 2


class RefusedError(EchoWarpError):
    """The server refused this client for good: wrong password, ban, version."""

    exit_status = 3


class ConnectError(EchoWarpError):
    """The server could not be reached, or was lost too often."""

    exit_status = 4


class DeviceError(EchoWarpError):
    """An audio device is missing, ambiguous, busy or refuses the format."""

    exit_status = 5


class StorageError(EchoWarpError):
    """A file could not be written while running (disk full, removed medium)."""

    exit_status = 1


class MismatchError(EchoWarpError):
    """A file that came back from a server is not the one that was sent there."""

    exit_status = 1


class ReaderGone(EchoWarpError):
    """Whoever read our standard output closed it: a quiet end, not a failure."""

    exit_status = 0


class ProtocolError(EchoWarpError):
    """Bytes from outside that break the protocol. The only error parsers raise."""

    exit_status = 1
