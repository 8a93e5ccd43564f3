"""Cases 1 to 4 and 7: whatever happens before a client has proved anything."""

from __future__ import annotations

import itertools
import random
import socket
import ssl
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from echowarp.crypto.record import RecordSealer
from echowarp.wire import handshake as frames
from echowarp.wire.codes import Code
from echowarp.wire.handshake import FrameType
from echowarp.wire.records import Ping, pack_record
from tests.crypto.known import CPACE
from tests.hostile import attackers
from tests.hostile.attackers import Guest, Refused, new_host
from tests.hostile.beside import Beside
from tests.hostile.middle import Middle, Tamper
from tests.processes import wait_until
from tests.session.pair import flip

INVALID = frames.pack_error(Code.INVALID)
POINTS = [(bytes.fromhex(p["u"]), p["abort"]) for p in CPACE["scalar_mult_vfy"]["points"]]
HANDSHAKE_BYTES = {1: 25, 2: 52, 3: 35}


def still_trusts(beside: Beside, host: str) -> None:
    """That address has not one failure: it may guess as often as anybody."""
    with Guest(beside.port, host) as guest:
        guest.join()
    assert host not in beside.banned


def test_1_keys_of_low_order_and_keys_that_are_not_canonical(undisturbed: Beside) -> None:
    """The first are INVALID, the others are what RFC 7748 makes of them; five failures
    would ban."""
    host = new_host()
    for public, aborts in POINTS:
        came = attackers.reply_to(undisturbed.port, host, public)
        if aborts:
            assert came == INVALID, public.hex()
        else:
            assert frames.frame_type(came) is FrameType.REPLY, public.hex()
    assert sum(aborts for _, aborts in POINTS) >= 7
    assert len(POINTS) > sum(aborts for _, aborts in POINTS)
    still_trusts(undisturbed, host)


def refused_with(port: int, host: str, frame: int, bit: int) -> int | None:
    """Joins with one bit of message 1, 2 or 3 changed on the way."""
    change = flip(bit)
    downs, ups = itertools.count(1), itertools.count(2)

    def down(data: bytes) -> bytes:
        is_it = (next(downs), frame) in ((1, 1), (2, 3))
        return change(data) if is_it else data

    def up(data: bytes) -> bytes:
        return change(data) if (next(ups), frame) == (2, 2) else data

    try:
        with Guest(port, host, down=down, up=up) as guest:
            guest.join()
    except Refused as refused:
        return refused.code
    raise AssertionError(f"frame {frame}, bit {bit}: both believe each other")


def test_2_a_bit_flipped_in_messages_1_to_3(undisturbed: Beside) -> None:
    """Nobody gets in, and both close. `test_bit_flips` flips every bit."""
    chance = random.Random(2)
    flips = [
        (frame, bit)
        for frame, size in HANDSHAKE_BYTES.items()
        for bit in chance.sample(range(8 * size), 8)
    ]
    hosts = [new_host() for _ in flips]

    def refused(host: str, flipped: tuple[int, int]) -> int | None:
        return refused_with(undisturbed.port, host, *flipped)

    with ThreadPoolExecutor(12) as pool:
        codes = list(pool.map(refused, hosts, flips))
    # INVALID or another version where a length, a type or a version was hit; else another key.
    known = {Code.INVALID, Code.WRONG_PASSWORD, Code.VERSION, None}
    assert Code.WRONG_PASSWORD in codes
    assert set(codes) <= known, codes
    assert not any("joined" in line for host in hosts for line in undisturbed.said_of(host))


def one_by_one(data: bytes) -> Iterable[bytes]:
    return (data[n : n + 1] for n in range(len(data)))


def test_3_frames_in_pieces_and_merged(undisturbed: Beside) -> None:
    """A client whose bytes come one at a time, both ways, plays like any other; CONFIRM and
    the first records in one segment are read one by one."""
    down: Tamper = one_by_one
    with Middle(undisturbed.port, new_host(), down=lambda: down, up=lambda: one_by_one) as middle:
        client = undisturbed.stage.client("-q", "--duration", "0.2", port=middle.port)
        assert client.ends() == 0, client.said
    ping = pack_record(Ping(value=7))

    def merge(said: bytes) -> bytes:
        if frames.frame_type(said) is not FrameType.CONFIRM:
            return said
        exchange = guest.session._exchange
        assert exchange is not None
        sealer = RecordSealer(exchange.keys().control_client)
        return said + b"".join(sealer.seal(ping) for _ in range(3))

    with Guest(undisturbed.port, new_host(), up=merge) as guest:
        guest.join()
        pongs = bytearray()
        wait_until(lambda: answered(guest, pongs) >= 3 * 27, "three answers")


def answered(guest: Guest, came: bytearray) -> int:
    """How many bytes of records have come since SESSION."""
    came += guest.sock.recv(attackers.READ_BYTES)
    return len(came)


def client_hello() -> bytes:
    """How a TLS connection begins."""
    to_server = ssl.MemoryBIO()
    context = ssl.create_default_context()
    tls = context.wrap_bio(ssl.MemoryBIO(), to_server, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return to_server.read()


HELLO = attackers.hello()
STRANGERS = {
    "length 0": (b"\0\0",),
    "length 1041": (b"\x04\x11",),
    "length 65535": (b"\xff\xff",),
    "wrong type": (HELLO[:2] + b"\x03",),
    "a greeting": (
        frames.pack_greeting(frames.Greeting(version_min=1, version_max=1, nonce=bytes(16))),
    ),
    "wrong order": (frames.pack_confirm(bytes(32)),),
    "length 0 after HELLO": (HELLO, b"\0\0"),
    "length 1041 after HELLO": (HELLO, b"\x04\x11"),
    "length 65535 after HELLO": (HELLO + b"\xff\xff",),
    "wrong type after HELLO": (HELLO, b"\0\x21\x05"),
    "HELLO again": (HELLO, HELLO),
    "HTTP": (b"GET / HTTP/1.1\r\nHost: echowarp\r\n\r\n" + b"x" * 5_000,),
    "TLS": (client_hello(),),
    "SSH": (b"SSH-2.0-OpenSSH_9.6\r\n",),
    "noise": (random.Random(4).randbytes(100_000),),
}


@pytest.fixture(scope="module")
def talkative(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    """A server that says all it has to say, and has not said so much yet that it is cut."""
    with Beside(tmp_path_factory.mktemp("talkative"), "-v") as made:
        yield made


@pytest.mark.parametrize("said", STRANGERS.values(), ids=STRANGERS)
def test_4_strangers(talkative: Beside, said: tuple[bytes, ...]) -> None:
    """Closed by the first wrong bytes, without waiting for more; one line in a talkative
    log, no failure."""
    host = new_host()
    came = attackers.answer(talkative.port, host, *said)
    assert came in (INVALID, b"") or came.endswith(INVALID), came
    wait_until(lambda: talkative.said_of(host), "a line of it")
    (line,) = talkative.said_of(host)
    assert "no session" in line
    still_trusts(talkative, host)
    talkative.is_undisturbed()


def test_4_after_it_all_nothing_is_disturbed(undisturbed: Beside) -> None:
    """Also not when they come with a reset, or with nothing at all."""
    hosts = {new_host() for _ in range(20)}
    for host in hosts:
        with attackers.connected(undisturbed.port, host) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes((1, 0, 0, 0, 0, 0, 0, 0)))
    assert undisturbed.server.running
    assert not hosts & undisturbed.banned


def test_7_clients_that_leave_after_the_reply(undisturbed: Beside) -> None:
    """A thousand of them: no guess is counted, no ticket, descriptor or thread is left."""
    before = undisturbed.held
    hosts = [new_host() for _ in range(4)]

    def leave(host: str) -> set[FrameType]:
        came = [attackers.reply_to(undisturbed.port, host) for _ in range(250)]
        return set(map(frames.frame_type, came))

    with ThreadPoolExecutor(len(hosts)) as pool:
        kinds = set().union(*pool.map(leave, hosts))
    assert kinds == {FrameType.REPLY}
    for host in hosts:
        still_trusts(undisturbed, host)
    wait_until(lambda: undisturbed.held == before, f"{undisturbed.held} is {before} again")
