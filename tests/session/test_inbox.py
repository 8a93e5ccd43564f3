"""What a client lets in by UDP."""

from __future__ import annotations

import pytest

from echowarp.crypto.schedule import SessionKeys
from echowarp.crypto.suite import Suite, cipher_for_audio
from echowarp.session.datagrams import DatagramSender
from echowarp.session.inbox import ClientInbox
from echowarp.session.streams import begin
from echowarp.wire.datagram import DatagramType, pack_block
from echowarp.wire.records import Stream

STREAM = Stream(stream=0, codec=0, rate=48_000, channels=2, block=240, seq=7, time=1000, user=0)
KEYS = SessionKeys(
    control_client=b"a" * 32,
    control_server=b"b" * 32,
    udp_client=b"c" * 32,
    audio_hmac=b"d" * 32,
    audio_gcm=b"e" * 32,
    session=b"sessions",
)
PAYLOAD = bytes(range(240)) * 4


def pair(suite: Suite) -> tuple[DatagramSender, ClientInbox]:
    sender = DatagramSender(cipher=cipher_for_audio(suite, KEYS), session=KEYS.session)
    inbox = ClientInbox(keys=KEYS, suite=suite)
    inbox.announce(0, begin(STREAM, 0))
    return sender, inbox


def sealed(sender: DatagramSender, k: int, stream: int = 0, kind: int = 1) -> bytes:
    return sender.seal(kind, stream, pack_block(7 + k, 1000 + k * 240, PAYLOAD))


@pytest.mark.parametrize("suite", Suite)
def test_a_block_comes_through_as_it_was_sent(suite: Suite) -> None:
    sender, inbox = pair(suite)
    block = inbox.receive(sealed(sender, 0), 5)
    assert block is not None
    assert (block.stream, block.seq, block.time, block.payload) == (0, 7, 1000, PAYLOAD)
    assert block.first_seq == 7
    assert inbox.rejected == 0


def test_the_number_tells_which_block_was_the_first_sent() -> None:
    sender, inbox = pair(Suite.ENCRYPTED)
    lost = [sealed(sender, k) for k in range(100, 103)]
    block = inbox.receive(sealed(sender, 103), 600_000_000)
    assert block is not None and block.first_seq == 107
    assert inbox.receive(lost[1], 600_000_000) is not None


@pytest.mark.parametrize("suite", Suite)
def test_a_replay_is_dropped(suite: Suite) -> None:
    sender, inbox = pair(suite)
    datagram = sealed(sender, 0)
    assert inbox.receive(datagram, 0) is not None
    assert inbox.receive(datagram, 0) is None
    assert inbox.rejected == 1


@pytest.mark.parametrize("suite", [Suite.INTEGRITY, Suite.ENCRYPTED])
def test_every_flipped_bit_is_dropped(suite: Suite) -> None:
    sender, inbox = pair(suite)
    datagram = sealed(sender, 0)
    for bit in range(len(datagram) * 8):
        forged = bytearray(datagram)
        forged[bit // 8] ^= 1 << bit % 8
        assert inbox.receive(bytes(forged), 0) is None
    assert inbox.receive(datagram, 0) is not None


@pytest.mark.parametrize(
    "strange",
    [b"", b"\x01", bytes(17), bytes(18), bytes(1233), b"\x01\x00sessions" + bytes(8)],
)
def test_strange_datagrams_are_dropped(strange: bytes) -> None:
    _, inbox = pair(Suite.NONE)
    assert inbox.receive(strange, 0) is None
    assert inbox.rejected == 1


def test_other_sessions_types_and_streams_are_dropped() -> None:
    sender, inbox = pair(Suite.NONE)
    other = DatagramSender(cipher=cipher_for_audio(Suite.NONE, KEYS), session=b"somebody")
    assert inbox.receive(sealed(other, 0), 0) is None
    assert inbox.receive(sealed(sender, 0, stream=1), 0) is None
    assert inbox.receive(sealed(sender, 0, kind=DatagramType.PROBE), 0) is None
    assert inbox.receive(sealed(sender, 0, kind=2), 0) is None
    assert inbox.receive(sender.seal(1, 0, b"short"), 0) is None
    assert inbox.rejected == 5
    assert inbox.receive(sealed(sender, 0), 0) is not None
