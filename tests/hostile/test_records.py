"""Case 10: somebody on the path changes what both say after the handshake."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from echowarp.crypto.record import RecordSealer
from echowarp.wire.records import Ping, pack_record
from tests.hostile.attackers import Guest, Refused, new_host
from tests.hostile.beside import Beside
from tests.hostile.middle import Middle, Tamper, untouched
from tests.processes import wait_until
from tests.session.pair import flip

LEN_BYTES = 2
FRAMES = 3
"""GREETING, REPLY and ACCEPT go before the server's records."""

Change = Callable[[int, bytes], Iterable[bytes]]
"""From a record's number, 0 for SESSION, and itself to what is passed on."""


def on_records(change: Change) -> Tamper:
    """Cuts what a server says into frames and records, and changes records."""
    waiting, number = bytearray(), -FRAMES

    def tamper(data: bytes) -> Iterable[bytes]:
        nonlocal number
        waiting.extend(data)
        passed: list[bytes] = []
        while len(waiting) >= LEN_BYTES:
            size = LEN_BYTES + int.from_bytes(waiting[:LEN_BYTES], "big")
            if len(waiting) < size:
                break
            unit = bytes(waiting[:size])
            del waiting[:size]
            passed.extend((unit,) if number < 0 else change(number, unit))
            number += 1
        return passed

    return tamper


def altered(number: int, record: bytes) -> Iterable[bytes]:
    return (flip(8 * len(record) - 1)(record) if number == 2 else record,)


def longer(number: int, record: bytes) -> Iterable[bytes]:
    return (flip(8)(record) if number == 2 else record,)


def replayed(number: int, record: bytes) -> Iterable[bytes]:
    return (record,) * (2 if number == 2 else 1)


def left_out(number: int, record: bytes) -> Iterable[bytes]:
    return () if number == 2 else (record,)


def reordered() -> Change:
    held: list[bytes] = []

    def change(number: int, record: bytes) -> Iterable[bytes]:
        if number == 2:
            held.append(record)
            return ()
        return (record, *held) if number == 3 else (record,)

    return change


def test_10_from_the_server(undisturbed: Beside) -> None:
    """The client closes at the first record that is not the next, and plays again at once
    by a connection of its own."""
    changes = [altered, longer, replayed, left_out, reordered()]
    middles = []
    for change in changes:
        tampers = iter([on_records(change)])
        down = lambda waiting=tampers: next(waiting, untouched)  # noqa: E731
        middles.append(Middle(undisturbed.port, new_host(), down=down))
    clients = [undisturbed.stage.client("-r", "0", port=middle.port) for middle in middles]
    for client, middle in zip(clients, middles, strict=True):
        wait_until(lambda c=client: c.said.count("stream:") == 2, "it plays again")  # type: ignore[misc]
        assert middle.connections == 2
        assert client.leave() == 0
        middle.close()


def ping(sealer: RecordSealer) -> bytes:
    return sealer.seal(pack_record(Ping(value=10)))


def bad_records(sealer: RecordSealer) -> dict[str, bytes]:
    first, second = ping(sealer), ping(sealer)
    return {
        "altered": flip(60)(first),
        "longer": flip(8)(first),
        "replayed": first + first,
        "reordered": second + first,
        "length 0": bytes(2),
        "length 1041": b"\x04\x11",
        "unknown code": first[:2] + bytes(len(first) - 2),
    }


@pytest.mark.parametrize("name", bad_records(RecordSealer(bytes(32))))
def test_10_from_a_client(undisturbed: Beside, name: str) -> None:
    """The server closes without a reply; who was attacked comes back at once."""
    host = new_host()
    with Guest(undisturbed.port, host) as guest:
        guest.sock.sendall(bad_records(guest.sealer())[name])
        with pytest.raises(Refused) as refused:
            guest.until(lambda: False)
    assert refused.value.code is None
    with Guest(undisturbed.port, host) as guest:
        guest.join()
