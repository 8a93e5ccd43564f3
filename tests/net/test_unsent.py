from __future__ import annotations

import socket

from echowarp.net.unsent import MAX_PIECES, Unsent


def test_all_of_it_goes_in_order_however_little_the_kernel_takes() -> None:
    pieces = [bytes([n % 251]) * size for n, size in enumerate([1, 0, 300_000, 10, 8192] * 300)]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        unsent, came = Unsent(), bytearray()
        unsent.add(pieces)
        assert len(pieces) > MAX_PIECES
        wanted = b"".join(pieces)
        while len(came) < len(wanted):
            try:
                while unsent:
                    unsent.send(ours)
            except BlockingIOError:
                assert unsent
            came += theirs.recv(1 << 20)
        assert came == wanted
        assert not unsent


def test_what_is_forgotten_does_not_go() -> None:
    unsent = Unsent()
    unsent.add([b"", b"a"])
    assert unsent
    unsent.clear()
    unsent.add([b""])
    assert not unsent
