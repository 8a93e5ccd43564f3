"""The program on a system that takes no datagram to one address."""

from __future__ import annotations

import errno
import itertools
import os
import socket
import sys
from typing import Any

from echowarp.main import main

UNREACHABLE = "127.255.0.1"
FAILURES = itertools.cycle(
    (errno.EAGAIN, errno.ENOBUFS, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EPERM)
)

_sendmsg, _sendto = socket.socket.sendmsg, socket.socket.sendto


def _fail(address: Any) -> None:
    if address is not None and address[0] == UNREACHABLE:
        number = next(FAILURES)
        raise OSError(number, os.strerror(number))


def sendmsg(self: socket.socket, buffers: Any, *rest: Any) -> int:
    """As `socket.sendmsg`, but for that address."""
    _fail(rest[2] if len(rest) > 2 else None)
    return _sendmsg(self, buffers, *rest)


def sendto(self: socket.socket, data: Any, *rest: Any) -> int:
    """As `socket.sendto`, but for that address."""
    _fail(rest[-1])
    return _sendto(self, data, *rest)


if __name__ == "__main__":
    socket.socket.sendmsg = sendmsg  # type: ignore[method-assign,assignment]
    socket.socket.sendto = sendto  # type: ignore[method-assign,assignment]
    sys.exit(main())
