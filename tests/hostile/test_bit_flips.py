"""Every bit of every kind of frame, record and datagram, flipped one by one."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from echowarp.crypto.record import RecordSealer
from echowarp.crypto.suite import Suite, cipher_for_audio, cipher_for_client
from echowarp.session import client_session, server_connection
from echowarp.session.client_session import Started
from echowarp.session.datagrams import DatagramSender
from echowarp.session.endpoint import Received
from echowarp.session.gate import DatagramGate
from echowarp.session.inbox import ClientInbox
from echowarp.session.streams import begin
from echowarp.wire.datagram import CLIENT_BIT, DatagramType, pack_block
from echowarp.wire.feedback import (
    ClockAnswer,
    ClockAsk,
    Repair,
    Report,
    ReportEntry,
    Request,
    pack_clock_answer,
    pack_clock_ask,
    pack_repair,
    pack_report,
    pack_request,
)
from echowarp.wire.records import (
    Anchor,
    Close,
    End,
    EndReason,
    Ping,
    Pong,
    Record,
    Session,
    UdpOk,
    pack_record,
)
from tests.hostile.samples import HOST, KEYS, STREAM
from tests.session.client_pair import SESSION
from tests.session.pair import Pair, flip
from tests.virtual import START_NS, S

FRAME_BYTES = {1: 25, 2: 52, 3: 35, 4: 35, 5: 35}


def until_closed(pair: Pair) -> None:
    """Delivers what each says, and that it has closed; lets the wait after a wrong guess pass."""
    for _ in range(4):
        pair.down()
        pair.up()
        if pair.server.closed:
            pair.client.receive_eof(pair.now_ns)
        if pair.client.closed:
            pair.server.receive_eof(pair.now_ns)
        pair.wait(S)


@pytest.mark.parametrize("frame", FRAME_BYTES)
def test_a_frame_of_the_handshake(frame: int) -> None:
    """1 to 3: no key is used. 4: one wrong guess. 5: the client believes nothing. Both
    close, whichever it was."""
    for bit in range(8 * FRAME_BYTES[frame]):
        pair = Pair()
        turns = (pair.down, pair.up, pair.down, pair.up, pair.down)
        for number, turn in enumerate(turns, 1):
            if number == frame:
                turn(flip(bit))
            elif not (pair.server.closed or pair.client.closed):
                turn()
        if frame < 5:
            assert pair.server_keys() is None, f"bit {bit}"
        assert pair.client._channel is None, f"bit {bit}"
        until_closed(pair)
        assert pair.client.closed, f"bit {bit}"
        assert pair.server.closed, f"bit {bit}"


RECORDS: tuple[Record, ...] = (
    SESSION,
    Ping(value=1),
    Pong(value=1),
    UdpOk(number=1, port=1),
    Close(code=200),
    STREAM,
    Anchor(stream=0, time=1, captured=1),
    End(stream=0, seq=1, reason=EndReason.STOPPED),
)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_control_record(record: Record) -> None:
    """To either side: closed without a reply and without an event of it; at once, but where
    the length grew: then by what follows."""
    size = len(RecordSealer(bytes(32)).seal(pack_record(record)))
    for bit in range(8 * size):
        for to_client in (True, False):
            pair = running(session=not isinstance(record, Session))
            keys = pair.server_keys()
            assert keys is not None
            key = keys.control_server if to_client else keys.control_client
            sealer = RecordSealer(key)
            if to_client and not isinstance(record, Session):
                sealer.seal(pack_record(SESSION))
            sealed = flip(bit)(sealer.seal(pack_record(record)))
            end = pair.client if to_client else pair.server
            end.receive(sealed, pair.now_ns)
            if int.from_bytes(sealed[:2], "big") > size - 2:
                end.receive(bytes(1_040), pair.now_ns)
            assert end.closed, f"bit {bit}"
            assert end.to_send() == b"", f"bit {bit}"
            assert not any(isinstance(e, (Received, Started)) for e in end.events()), f"bit {bit}"


def running(*, session: bool) -> Pair:
    """Both ends proved; SESSION has been said, if wanted."""
    pair = Pair()
    pair.to_running()
    if session:
        pair.server.send(SESSION, pair.now_ns)
        pair.down()
        assert pair.client.state is client_session.State.RUNNING
    assert pair.server.state is server_connection.State.RUNNING
    pair.client.events()
    pair.server.events()
    return pair


REPORT = Report(highest=5, received=5, bursts=0, rto_ns=0, entries=(ReportEntry(0, 0, 0),))
TO_SERVER: dict[DatagramType, bytes] = {
    DatagramType.PROBE: b"",
    DatagramType.REQUEST: pack_request(Request(9, 1)),
    DatagramType.REPORT: pack_report(REPORT),
    DatagramType.CLOCK_ASK: pack_clock_ask(ClockAsk(1)),
}
TO_CLIENT: dict[int, bytes] = {
    DatagramType.BLOCK: pack_block(9, 99, bytes(40)),
    DatagramType.RESEND: pack_block(9, 99, bytes(40)),
    DatagramType.REPAIR: pack_repair(Repair(9, 2, bytes(40))),
    DatagramType.CLOCK_ANSWER: pack_clock_answer(ClockAnswer(1, 2, 3)),
    # To one who talks.
    DatagramType.REQUEST & ~CLIENT_BIT: TO_SERVER[DatagramType.REQUEST],
    DatagramType.REPORT & ~CLIENT_BIT: TO_SERVER[DatagramType.REPORT],
}


@pytest.mark.parametrize("kind", TO_SERVER, ids=lambda kind: kind.name)
def test_a_datagram_to_the_server(kind: DatagramType) -> None:
    """Dropped: no answer, nothing that moves, no feedback; the true one still counts."""
    sender = DatagramSender(cipher=cipher_for_client(KEYS), session=KEYS.session)
    datagram = sender.seal(kind, 1, TO_SERVER[kind])
    gate: DatagramGate[int] = DatagramGate()
    gate.admit(1, HOST, KEYS)
    for changed in all_flipped(datagram):
        assert gate.receive(changed, HOST, 1, START_NS) is None
        assert gate.feedback() == []
    assert gate.receive(datagram, HOST, 1, START_NS) is not None
    assert len(gate.feedback()) == (kind is not DatagramType.PROBE)


def all_flipped(datagram: bytes) -> Iterable[bytes]:
    return (flip(bit)(datagram) for bit in range(8 * len(datagram)))


def inbox_of(suite: Suite) -> ClientInbox:
    inbox = ClientInbox(keys=KEYS, suite=suite)
    inbox.announce(0, begin(STREAM, START_NS))
    return inbox


@pytest.mark.parametrize("suite", [Suite.INTEGRITY, Suite.ENCRYPTED])
@pytest.mark.parametrize("kind", TO_CLIENT, ids=hex)
def test_a_datagram_to_a_client(kind: int, suite: Suite) -> None:
    """Dropped, and the window where it was: the true one still counts."""
    sender = DatagramSender(cipher=cipher_for_audio(suite, KEYS), session=KEYS.session)
    datagram = sender.seal(kind, 0, TO_CLIENT[kind])
    inbox = inbox_of(suite)
    for changed in all_flipped(datagram):
        assert inbox.receive(changed, START_NS) is None
    assert inbox.rejected == 8 * len(datagram)
    assert inbox.receive(datagram, START_NS) is not None


@pytest.mark.parametrize("kind", TO_CLIENT, ids=hex)
def test_a_datagram_without_protection(kind: int) -> None:
    """Suite none promises only this: another session, a number that is far ahead, and a type
    that no server sends are dropped. Whatever else is let in is no larger, and no failure."""
    cipher = cipher_for_audio(Suite.NONE, KEYS)
    datagram = DatagramSender(cipher=cipher, session=KEYS.session).seal(kind, 0, TO_CLIENT[kind])
    for bit, changed in enumerate(all_flipped(datagram)):
        arrival = inbox_of(Suite.NONE).receive(changed, START_NS)
        number = int.from_bytes(changed[10:18], "big")
        foreign = changed[2:10] != KEYS.session or number > 1 << 20
        if foreign or changed[0] not in TO_CLIENT:
            assert arrival is None, f"bit {bit}"
    assert inbox_of(Suite.NONE).receive(datagram, START_NS) is not None
