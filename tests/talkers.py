"""People by hand at a real server: each says, and hears, what a test wants."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

from echowarp.crypto.suite import cipher_for_audio
from echowarp.session.datagrams import DatagramReceiver
from echowarp.wire.datagram import CLIENT_BIT, DatagramType, pack_block, parse_block, parse_header
from echowarp.wire.people import NO_TOKEN, Enter, PeopleRecord, Welcome
from echowarp.wire.people_codes import Presence, Wish
from echowarp.wire.records import Record, Stream
from tests.hostile.attackers import Guest, new_host
from tests.processes import PASSWORD, PATIENCE_S, TookTooLong

RATE, FRAMES, CHANNELS = 48_000, 240, 2
FIRST_SEQ, FIRST_TIME = 4_294_967_290, 7_000
"""The sequence numbers wrap soon."""
BLOCK, RESEND, REPAIR = (int(DatagramType[kind]) for kind in ("BLOCK", "RESEND", "REPAIR"))
ASKED, TOLD = DatagramType.REQUEST & ~CLIENT_BIT, DatagramType.REPORT & ~CLIENT_BIT
QUIET_S = 0.15
"""So long nothing comes: nothing will."""

RecordT = TypeVar("RecordT")


class Heard(NamedTuple):
    """A datagram from the server, opened."""

    kind: int
    stream: int
    body: bytes


class Talker(Guest):
    """Somebody with a name, or on the way to one."""

    def __init__(self, port: int, host: str | None = None, *, password: str | None = PASSWORD):
        super().__init__(port, host or new_host(), password=password)
        started = self.join()
        self.user, self.token = started.user, started.resume
        self._receiver = DatagramReceiver(
            cipher=cipher_for_audio(started.suite, started.keys), suite=started.suite
        )
        self._read = 0
        self._kept: list[Heard] = []
        self.byte = 0
        self.knock()

    def tell(self, *records: Record) -> None:
        """Sends records."""
        now_ns = time.monotonic_ns()
        for record in records:
            self.session.send(record, now_ns)
        with contextlib.suppress(ConnectionError):
            self.sock.sendall(self.session.to_send())

    def enter(
        self,
        name: str,
        wish: Wish = Wish.PRESENCE,
        target: str = "",
        *,
        resume: bytes = NO_TOKEN,
        presence: Presence = Presence(0),  # noqa: B008
    ) -> None:
        """Says its name, and what it comes for."""
        self.tell(Enter(wish=wish, presence=presence, resume=resume, name=name, target=target))

    def welcomed(self, name: str, wish: Wish = Wish.PRESENCE, target: str = "") -> Talker:
        """Says its name and is welcome."""
        self.enter(name, wish, target)
        assert self.next(Welcome).name == name
        return self

    def next(self, kind: type[RecordT]) -> RecordT:
        """The next record of that kind that was not asked for yet; those before it are
        passed over. Raises Refused when the session ends before it comes."""
        while True:
            for index in range(self._read, len(self.records)):
                record = self.records[index]
                if isinstance(record, kind):
                    self._read = index + 1
                    return record
            self._read = len(self.records)
            self.until(lambda: len(self.records) > self._read)

    def people(self) -> list[PeopleRecord]:
        """The records about people that have come and were not asked for yet, once
        nothing more comes."""
        self.settle()
        came = self.records[self._read :]
        self._read = len(self.records)
        return [record for record in came if isinstance(record, PeopleRecord)]

    def settle(self) -> None:
        """Takes records until none comes for a while."""
        self.sock.settimeout(QUIET_S)
        with contextlib.suppress(TimeoutError):
            while self.ended is None:
                self.pump()
        self.sock.settimeout(PATIENCE_S)

    def talk(self, *, rate: int = RATE, channels: int = CHANNELS, block: int = FRAMES) -> Stream:
        """Begins a stream: gives what the server answers, and says it under that byte."""
        asked = Stream(
            stream=0,
            codec=0,
            rate=rate,
            channels=channels,
            block=block,
            seq=FIRST_SEQ,
            time=FIRST_TIME,
            user=0,
        )
        self.tell(asked)
        while (answer := self.next(Stream)).user != self.user:
            pass
        self.byte = answer.stream
        return answer

    def say(self, n: int, payload: bytes, *, kind: int = BLOCK, byte: int | None = None) -> None:
        """Sends the n-th block."""
        seq, when = (FIRST_SEQ + n) % 2**32, FIRST_TIME + n * FRAMES
        self.send(kind, pack_block(seq, when, payload), byte=byte)

    def send(self, kind: int, body: bytes, *, byte: int | None = None) -> None:
        """Sends a datagram of its stream."""
        datagram = self.seal(kind | CLIENT_BIT, self.byte if byte is None else byte, body)
        with contextlib.suppress(ConnectionError):
            self.udp.send(datagram)

    def listen(self) -> None:
        """Keeps what is there for `come`: a kernel's buffer holds less than a second."""
        self._kept += self._arrive(0)

    def come(self, *, quiet_s: float = QUIET_S) -> Iterator[Heard]:
        """The datagrams that come, until none does for a while."""
        kept, self._kept = self._kept, []
        yield from kept
        yield from self._arrive(quiet_s)

    def _arrive(self, quiet_s: float) -> Iterator[Heard]:
        while True:
            self.udp.settimeout(quiet_s)
            try:
                datagram = self.udp.recv(2048)
            except (TimeoutError, BlockingIOError):
                return
            header = parse_header(datagram)
            body = self._receiver.open(header, datagram)
            assert body is not None, "the server sealed it for another, or twice"
            yield Heard(header.kind, header.stream, body)

    def hears(self) -> dict[int, dict[int, bytes]]:
        """The blocks that come, by stream byte and n."""
        return blocks(self.come())


def blocks(heard: Iterable[Heard]) -> dict[int, dict[int, bytes]]:
    """The blocks of talkers among them, by stream byte and n."""
    found: dict[int, dict[int, bytes]] = {}
    for each in heard:
        if each.kind in (BLOCK, RESEND) and each.stream:
            block = parse_block(each.body)
            of_stream = found.setdefault(each.stream, {})
            of_stream[(block.seq - FIRST_SEQ) % 2**32] = block.payload
    return found


def wait_for_heard(talker: Talker, kind: int) -> Heard:
    """The next datagram of that kind. Raises TookTooLong."""
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        for heard in talker.come():
            if heard.kind == kind:
                return heard
    raise TookTooLong(f"nothing of type {kind} comes")
