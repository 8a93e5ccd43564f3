"""Sessions on their way from the thread that lets them in to the one that hears them."""

from __future__ import annotations

from queue import SimpleQueue
from typing import Any

from echowarp.crypto.schedule import SessionKeys
from echowarp.session.gate import DatagramGate


class GuestList:
    """What the control thread knows of sessions, for a gate that the UDP thread owns."""

    def __init__(self, gate: DatagramGate[Any]) -> None:
        self._gate = gate
        self._news: SimpleQueue[tuple[int, tuple[str, SessionKeys] | None]] = SimpleQueue()

    def joined(self, connection: int, host: str, keys: SessionKeys) -> None:
        """A session began. On the control thread."""
        self._news.put((connection, (host, keys)))

    def left(self, connection: int) -> None:
        """It ended. On the control thread."""
        self._news.put((connection, None))

    def update(self) -> None:
        """Tells the gate. On its thread."""
        while not self._news.empty():
            connection, guest = self._news.get()
            if guest is None:
                self._gate.dismiss(connection)
            else:
                self._gate.admit(connection, *guest)
