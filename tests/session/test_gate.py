from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.crypto.schedule import SessionKeys
from echowarp.crypto.suite import Suite, cipher_for_client
from echowarp.session.datagrams import DatagramSender
from echowarp.session.gate import (
    SILENT_AFTER_NS,
    DatagramGate,
    Feedback,
    Opened,
    Paused,
)
from echowarp.session.relay import TALK_TYPES
from echowarp.wire.datagram import DatagramType
from echowarp.wire.feedback import (
    ClockAsk,
    Report,
    ReportEntry,
    Request,
    pack_clock_ask,
    pack_report,
    pack_request,
)
from tests.crypto.known import PROTOCOL, case_name, unhex
from tests.virtual import S

HOST = "192.0.2.1"
Way = tuple[str, int]
HOME: Way = (HOST, 50_000)
MOVED: Way = (HOST, 50_001)
PROBE = DatagramType.PROBE


def keys(seed: int = 1) -> SessionKeys:
    def key(label: int) -> bytes:
        return bytes((seed, label)) * 16

    return SessionKeys(
        control_client=key(1),
        control_server=key(2),
        udp_client=key(3),
        audio_hmac=key(4),
        audio_gcm=key(5),
        session=bytes((seed,)) * 8,
    )


def sender_of(keys: SessionKeys) -> DatagramSender:
    return DatagramSender(cipher=cipher_for_client(keys), session=keys.session)


def gate_with_guest() -> tuple[DatagramGate[Way], DatagramSender]:
    gate: DatagramGate[Way] = DatagramGate()
    gate.admit(1, HOST, keys())
    return gate, sender_of(keys())


def opened(number: int, way: Way = HOME) -> Opened[Way]:
    return Opened(connection=1, number=number, way=way)


@pytest.mark.parametrize("case", PROTOCOL, ids=case_name)
def test_the_probe_of_the_vectors_opens(case: dict[str, str]) -> None:
    session, udp_client, probe = unhex(case, "session", "udp_client", "probe_number_1")
    known = SessionKeys(
        control_client=bytes(32),
        control_server=bytes(32),
        udp_client=udp_client,
        audio_hmac=bytes(32),
        audio_gcm=bytes(32),
        session=session,
    )
    gate: DatagramGate[Way] = DatagramGate()
    gate.admit(1, HOST, known)
    assert len(probe) == 34
    assert gate.receive(probe, HOST, HOME, 0) == opened(1)


def test_the_first_datagram_opens_and_the_next_say_nothing_new() -> None:
    gate, sender = gate_with_guest()
    assert gate.receive(sender.seal(PROBE, 0, b""), HOST, HOME, 0) == opened(0)
    for _ in range(5):
        assert gate.receive(sender.seal(PROBE, 0, b""), HOST, HOME, 0) is None
    assert gate.dropped == 0


@pytest.mark.parametrize("kind", [0x40, 0x41, 0x50, 0x7F])
def test_any_type_from_client_to_server_is_heard(kind: int) -> None:
    gate, sender = gate_with_guest()
    assert gate.receive(sender.seal(kind, 3, b"body"), HOST, HOME, 0) == opened(0)


@pytest.mark.parametrize("kind", [0x00, 0x01, 0x3F, 0x80, 0xBF, 0xC0, 0xFF])
def test_any_other_type_is_dropped(kind: int) -> None:
    gate, sender = gate_with_guest()
    assert gate.receive(sender.seal(kind, 0, b""), HOST, HOME, 0) is None
    assert gate.dropped == 1


def test_only_the_host_of_the_tcp_peer_is_heard() -> None:
    gate, sender = gate_with_guest()
    datagram = sender.seal(PROBE, 0, b"")
    assert gate.receive(datagram, "192.0.2.2", ("192.0.2.2", 50_000), 0) is None
    assert gate.dropped == 1
    assert gate.receive(datagram, HOST, HOME, 0) == opened(0), "the window has not moved"


@pytest.mark.parametrize(
    ("tcp_host", "udp_host"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("fe80::1%eth0", "fe80::1%2"),
        ("2001:db8::1", "2001:DB8::1"),
    ],
)
def test_one_host_in_two_spellings(tcp_host: str, udp_host: str) -> None:
    gate: DatagramGate[Way] = DatagramGate()
    gate.admit(1, tcp_host, keys())
    datagram = sender_of(keys()).seal(PROBE, 0, b"")
    assert gate.receive(datagram, udp_host, HOME, 0) == opened(0)


def test_a_neighbour_in_the_same_64_is_not_the_peer() -> None:
    gate: DatagramGate[Way] = DatagramGate()
    gate.admit(1, "2001:db8::1", keys())
    datagram = sender_of(keys()).seal(PROBE, 0, b"")
    assert gate.receive(datagram, "2001:db8::2", HOME, 0) is None


def test_a_higher_number_moves_the_stream_and_a_lower_one_does_not() -> None:
    gate, sender = gate_with_guest()
    first, second, third = (sender.seal(PROBE, 0, b"") for _ in range(3))
    assert gate.receive(second, HOST, HOME, 0) == opened(1)
    assert gate.receive(first, HOST, MOVED, 0) is None
    assert gate.receive(third, HOST, MOVED, S) == opened(2, MOVED)
    back = sender.seal(PROBE, 0, b"")
    assert gate.receive(back, HOST, HOME, 2 * S) == opened(3, HOME)


def test_a_client_that_hops_is_followed_ten_times_a_second() -> None:
    gate, sender = gate_with_guest()
    moves = 0
    for k in range(1000):
        way = MOVED if k % 2 else HOME
        moves += gate.receive(sender.seal(PROBE, 0, b""), HOST, way, k * S // 1000) is not None
    assert 1 < moves <= 11


def test_a_replay_moves_nothing_and_counts_as_no_sign_of_life() -> None:
    gate, sender = gate_with_guest()
    datagram = sender.seal(PROBE, 0, b"")
    gate.receive(datagram, HOST, HOME, 0)
    assert gate.receive(datagram, HOST, MOVED, 34 * S) is None
    assert gate.silent(SILENT_AFTER_NS) == [Paused(connection=1)]


def test_35_s_of_silence_pause_and_a_later_probe_opens_again() -> None:
    gate, sender = gate_with_guest()
    first, early, late = (sender.seal(PROBE, 0, b"") for _ in range(3))
    assert gate.silent(100 * S) == [], "nothing is paused before it is open"
    gate.receive(first, HOST, HOME, 100 * S)
    assert gate.silent(135 * S - 1) == []
    assert gate.silent(135 * S) == [Paused(connection=1)]
    assert gate.silent(200 * S) == [], "once"
    assert gate.receive(first, HOST, HOME, 200 * S) is None, "not by a replay"
    assert gate.receive(late, HOST, HOME, 200 * S) == opened(2)
    assert gate.silent(235 * S - 1) == []
    assert gate.silent(235 * S) == [Paused(connection=1)]
    assert gate.receive(early, HOST, MOVED, 236 * S) is None, "not by one held back"


def test_every_datagram_puts_the_pause_off() -> None:
    gate, sender = gate_with_guest()
    for turn in range(20):
        gate.receive(sender.seal(PROBE, 0, b""), HOST, HOME, turn * 34 * S)
        assert gate.silent((turn + 1) * 34 * S) == []


def test_a_flipped_bit_opens_nothing() -> None:
    gate, sender = gate_with_guest()
    datagram = sender.seal(PROBE, 0, b"")
    for bit in range(8 * len(datagram)):
        changed = bytearray(datagram)
        changed[bit // 8] ^= 1 << bit % 8
        assert gate.receive(bytes(changed), HOST, HOME, 0) is None
    assert gate.receive(datagram, HOST, HOME, 0) == opened(0)


def test_the_keys_of_audio_do_not_open() -> None:
    gate, _ = gate_with_guest()
    stranger = DatagramSender(cipher=cipher_for_client(keys(2)), session=keys(1).session)
    assert gate.receive(stranger.seal(PROBE, 0, b""), HOST, HOME, 0) is None


def test_sessions_are_told_apart_and_forgotten() -> None:
    gate: DatagramGate[Way] = DatagramGate()
    gate.admit(1, HOST, keys(1))
    gate.admit(2, HOST, keys(2))
    one, two = sender_of(keys(1)), sender_of(keys(2))
    assert gate.receive(one.seal(PROBE, 0, b""), HOST, HOME, 0) == opened(0)
    second = gate.receive(two.seal(PROBE, 0, b""), HOST, MOVED, 0)
    assert second == Opened(connection=2, number=0, way=MOVED)
    gate.dismiss(1)
    gate.dismiss(1)
    assert gate.receive(one.seal(PROBE, 0, b""), HOST, MOVED, 0) is None
    assert gate.receive(two.seal(PROBE, 0, b""), HOST, HOME, S) is not None
    assert gate.silent(100 * S) == [Paused(connection=2)]


def test_the_suite_of_the_audio_does_not_matter() -> None:
    assert cipher_for_client(keys()).tag_bytes == 16
    assert {Suite.NONE, Suite.INTEGRITY, Suite.ENCRYPTED} == set(Suite)


@given(data=st.binary(max_size=1300))
def test_random_bytes_are_dropped(data: bytes) -> None:
    gate, _ = gate_with_guest()
    assert gate.receive(data, HOST, HOME, 0) is None
    assert gate.dropped == 1


@given(kind=st.integers(0, 255), number=st.integers(0, 2**64 - 1), body=st.binary(max_size=60))
def test_random_datagrams_of_a_session_are_dropped(kind: int, number: int, body: bytes) -> None:
    gate, sender = gate_with_guest()
    header = bytes((kind, 0)) + keys().session + number.to_bytes(8, "big")
    assert gate.receive(header + body, HOST, HOME, 0) is None
    assert gate.receive(sender.seal(PROBE, 0, b""), HOST, HOME, 0) == opened(0)


REQUEST = Request(7, 0b1011)
REPORT = Report(9, 8, 1, 12_000_000, (ReportEntry(0, 2_000_000, 40_000_000),))
ASK = ClockAsk(123_456_789)


def test_what_clients_tell_is_given_out_once_and_in_order() -> None:
    gate, sender = gate_with_guest()
    for at_ns, datagram in (
        (1, sender.seal(DatagramType.REQUEST, 3, pack_request(REQUEST))),
        (2, sender.seal(PROBE, 0, b"")),
        (3, sender.seal(DatagramType.REPORT, 1, pack_report(REPORT))),
        (4, sender.seal(DatagramType.CLOCK_ASK, 0, pack_clock_ask(ASK))),
    ):
        gate.receive(datagram, HOST, HOME, at_ns)
    assert gate.feedback() == [
        Feedback(connection=1, stream=3, message=REQUEST, at_ns=1),
        Feedback(connection=1, stream=1, message=REPORT, at_ns=3),
        Feedback(connection=1, stream=0, message=ASK, at_ns=4),
    ]
    assert gate.feedback() == []
    assert gate.dropped == 0


FEEDBACK = [
    (DatagramType.REQUEST, 0, pack_request(REQUEST)),
    (DatagramType.REPORT, 1, pack_report(REPORT)),
    (DatagramType.CLOCK_ASK, 0, pack_clock_ask(ASK)),
]


@pytest.mark.parametrize(("kind", "stream", "body"), FEEDBACK)
def test_feedback_without_end_is_cut_to_a_budget(kind: int, stream: int, body: bytes) -> None:
    """Ten seconds at 2,000 a second: fifty at once, then 200 a second."""
    gate, sender = gate_with_guest()
    told = 0
    for turn in range(20_000):
        gate.receive(sender.seal(kind, stream, body), HOST, HOME, 7 * S + turn * S // 2_000)
        told += len(gate.feedback())
    assert told == 50 + 1999
    assert gate.dropped == 20_000 - told


def test_the_budget_is_shared_by_all_kinds_and_fills_again() -> None:
    gate, sender = gate_with_guest()

    def flood(now_ns: int) -> int:
        for kind, stream, body in FEEDBACK * 20:
            gate.receive(sender.seal(kind, stream, body), HOST, HOME, now_ns)
        return len(gate.feedback())

    assert [flood(now_ns) for now_ns in (S, S, S + S // 10, 9 * S)] == [50, 0, 20, 50]


def test_a_budget_is_one_sessions_own_and_probes_are_not_in_it() -> None:
    gate, sender = gate_with_guest()
    gate.admit(2, HOST, keys(2))
    other = sender_of(keys(2))
    kind, stream, body = FEEDBACK[0]
    for _ in range(100):
        gate.receive(sender.seal(kind, stream, body), HOST, HOME, 0)
        gate.receive(sender.seal(PROBE, 0, b""), HOST, HOME, 0)
    assert gate.dropped == 50
    gate.feedback()
    gate.receive(other.seal(kind, stream, body), HOST, MOVED, 0)
    assert [each.connection for each in gate.feedback()] == [2]
    assert gate.receive(sender.seal(kind, stream, body), HOST, MOVED, S // 5) == opened(200, MOVED)


def test_what_a_client_tells_in_the_worst_network_is_within_the_budget() -> None:
    """Where every second block is lost, 170 requests a second leave; and reports, and asks."""
    gate, sender = gate_with_guest()
    for now_ms in range(10_000):
        for (kind, stream, body), every_ms in zip(FEEDBACK, (6, 200, 100), strict=True):
            if now_ms % every_ms == 0:
                gate.receive(sender.seal(kind, stream, body), HOST, HOME, now_ms * S // 1000)
    assert gate.dropped == 0


@pytest.mark.parametrize(
    "kind", [DatagramType.REQUEST, DatagramType.REPORT, DatagramType.CLOCK_ASK]
)
def test_a_body_that_is_too_short_tells_nothing_but_opens(kind: int) -> None:
    gate, sender = gate_with_guest()
    assert gate.receive(sender.seal(kind, 1, b"short"), HOST, HOME, 0) == opened(0)
    assert gate.feedback() == []
    assert gate.dropped == 1


def test_replays_forgeries_and_strangers_tell_nothing() -> None:
    gate, sender = gate_with_guest()
    datagram = sender.seal(DatagramType.REQUEST, 0, pack_request(REQUEST))
    gate.receive(datagram[:-1] + bytes((datagram[-1] ^ 1,)), HOST, HOME, 0)
    gate.receive(datagram, "192.0.2.2", HOME, 0)
    assert gate.feedback() == []
    gate.receive(datagram, HOST, HOME, 0)
    gate.receive(datagram, HOST, HOME, 0)
    assert len(gate.feedback()) == 1


def test_what_talkers_say_is_handed_on_and_every_number_told() -> None:
    gate: DatagramGate[Way] = DatagramGate(talk_types=TALK_TYPES)
    gate.admit(1, HOST, keys())
    sender = sender_of(keys())
    for at_ns, (kind, stream, body) in enumerate(
        (
            (DatagramType.PROBE, 0, b""),
            (0x41, 7, b"a block"),
            (DatagramType.REQUEST, 3, pack_request(REQUEST)),
            (0x42, 7, b"a resend"),
            (0x43, 8, b"a row"),
            (0x44, 9, b"of a type to come"),
        )
    ):
        gate.receive(sender.seal(kind, stream, body), HOST, HOME, at_ns)
    assert gate.accepted() == [
        (1, 0, DatagramType.PROBE, 0, b"", 0),
        (1, 1, 0x41, 7, b"a block", 1),
        (1, 2, DatagramType.REQUEST, 3, b"", 2),
        (1, 3, 0x42, 7, b"a resend", 3),
        (1, 4, 0x43, 8, b"a row", 4),
        (1, 5, 0x44, 9, b"", 5),
    ]
    assert gate.accepted() == []
    assert len(gate.feedback()) == 1


def test_forgeries_replays_and_talk_of_another_session_are_not_handed_on() -> None:
    gate: DatagramGate[Way] = DatagramGate(talk_types=TALK_TYPES)
    gate.admit(1, HOST, keys(1))
    gate.admit(2, HOST, keys(2))
    block = sender_of(keys(1)).seal(0x41, 7, b"a block")
    gate.receive(block[:-1] + bytes((block[-1] ^ 1,)), HOST, HOME, 0)
    gate.receive(block[:2] + keys(2).session + block[10:], HOST, HOME, 0)
    gate.receive(block, "192.0.2.2", HOME, 0)
    assert gate.accepted() == []
    gate.receive(block, HOST, HOME, 0)
    gate.receive(block, HOST, HOME, 0)
    assert [each[0] for each in gate.accepted()] == [1]


def test_where_nobody_may_talk_nothing_is_kept() -> None:
    gate, sender = gate_with_guest()
    gate.receive(sender.seal(0x41, 7, b"a block"), HOST, HOME, 0)
    assert gate.accepted() == []
