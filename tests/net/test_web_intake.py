from __future__ import annotations

import errno
import selectors
import socket

import pytest

from echowarp.net.web_intake import AT_ONCE, PAUSE_NS, Intake
from tests.processes import LOOPBACK


class Exhausted(socket.socket):
    """A listening socket of a process that has no descriptors left."""

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        raise OSError(errno.EMFILE, "Too many open files")


def test_some_at_a_time() -> None:
    with socket.create_server((LOOPBACK, 0), backlog=64) as listening:
        listening.setblocking(False)
        with selectors.DefaultSelector() as selector:
            intake = Intake([listening], selector)
            intake.begin()
            peers = [socket.create_connection(listening.getsockname()) for _ in range(AT_ONCE + 1)]
            try:
                assert selector.select(5)
                first = list(intake.accept(listening))
                second = list(intake.accept(listening))
                assert (len(first), len(second)) == (AT_ONCE, 1)
                assert {host for _, host in first} == {LOOPBACK}
                assert not any(sock.getblocking() for sock, _ in first)
                assert not list(intake.accept(listening))
            finally:
                for sock in (*peers, *(sock for sock, _ in (*first, *second))):
                    sock.close()


def test_without_descriptors_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic_ns", lambda: 0)
    with Exhausted() as listening, selectors.DefaultSelector() as selector:
        intake = Intake([listening], selector)
        intake.begin()
        assert not list(intake.accept(listening))
        assert not selector.get_map()
        intake.go_on(PAUSE_NS - 1)
        assert not selector.get_map()
        intake.go_on(PAUSE_NS)
        assert len(selector.get_map()) == 1
