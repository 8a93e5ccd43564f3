"""Where the processor time of a forwarded datagram goes: each stage of a relay, by itself.

One thread, real sockets and ciphers, the stages one after the other over the same blocks;
what waking, timers and the control thread cost on top, `bench_relay` shows.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable

from echowarp.crypto.schedule import SessionKeys
from echowarp.crypto.suite import Suite, cipher_for_audio, cipher_for_client
from echowarp.media.repair import RepairEncoder, RepairSolver
from echowarp.net.sockets import grow_buffers
from echowarp.net.udp_server import UdpSender, Way
from echowarp.session.datagrams import DatagramSender
from echowarp.session.fanout import Downlink
from echowarp.session.gate import DatagramGate
from echowarp.session.relay import TALK_TYPES, Relay
from echowarp.wire.datagram import CLIENT_BIT, DatagramType, pack_block
from echowarp.wire.records import Stream
from tests.processes import LOOPBACK

RATE, FRAMES, BLOCK_NS = 48_000, 240, 5_000_000
SOUND = bytes(4 * FRAMES)
WARM_ROUNDS, ROUNDS = 260, 100
"""First a relay fills what it keeps of the last second."""
STAGES = ("receive", "open", "route", "seal", "send")


class _Unsealed(DatagramSender):
    """Takes no time: what is left of routing is its own."""

    def seal(self, kind: int, stream: int, body: bytes) -> bytes:
        return body


def _keys(number: int) -> SessionKeys:
    key = os.urandom(32)
    return SessionKeys(
        control_client=key,
        control_server=key,
        udp_client=key,
        audio_hmac=key,
        audio_gcm=key,
        session=number.to_bytes(8, "big"),
    )


class Stages:
    """That many two-way calls. us: what each stage took so far, microseconds in all."""

    def __init__(self, calls: int) -> None:
        self.us = dict.fromkeys(STAGES, 0.0)
        self._people = range(2 * calls)
        self._gate: DatagramGate[Way] = DatagramGate(talk_types=TALK_TYPES)
        self._relay: Relay[Way] = Relay(rows=RepairEncoder, solver=RepairSolver)
        self._talkers: list[DatagramSender] = []
        self._senders: list[DatagramSender] = []
        for number in self._people:
            keys = _keys(number)
            cipher = cipher_for_audio(Suite.ENCRYPTED, keys)
            self._gate.admit(number, LOOPBACK, keys)
            self._senders.append(DatagramSender(cipher=cipher, session=keys.session))
            downlink: Downlink[Way] = Downlink(
                number, _Unsealed(cipher=cipher, session=keys.session)
            )
            downlink.way = Way(0, (LOOPBACK, number), None)
            self._relay.join(downlink, number)
            self._talkers.append(
                DatagramSender(cipher=cipher_for_client(keys), session=keys.session)
            )
        asked = Stream(
            stream=0, codec=0, rate=RATE, channels=2, block=FRAMES, seq=0, time=0, user=0
        )
        for number in self._people:
            self._relay.talk(number, asked, 0)
        self._bytes = {connection: told.stream for connection, told in self._relay.to_send()}
        for number in self._people:
            self._relay.hear(number, (number ^ 1,), 0)
        # Who reports that nothing is lost is sent no repair.
        for member in self._relay._members.values():
            for leg in member.downlink.legs.values():
                leg.every_blocks = 0

    def round(self, n: int, heard: socket.socket, said: socket.socket) -> None:
        """Everybody's n-th block."""
        now_ns, body = n * BLOCK_NS, pack_block(n, n * FRAMES, SOUND)
        kind, hole = DatagramType.BLOCK | CLIENT_BIT, said.getsockname()
        for number in self._people:
            said.sendto(
                self._talkers[number].seal(kind, self._bytes[number], body), heard.getsockname()
            )
        came = self._timed("receive", lambda _: heard.recvfrom(2048)[0], self._people)
        way = Way(0, hole, None)
        self._timed("open", lambda each: self._gate.receive(each, LOOPBACK, way, now_ns), came)

        def route(each: tuple[int, int, int, int, bytes, int]) -> list[tuple[int, Way, bytes]]:
            connection, number, kind, stream, body, at_ns = each
            self._relay.numbered(connection, number, at_ns)
            return list(self._relay.receive(connection, kind, stream, body, at_ns))

        routed = self._timed("route", route, self._gate.accepted())
        out = [(connection, body) for each in routed for connection, _, body in each]
        sealed = self._timed("seal", lambda each: self._senders[each[0]].seal(1, 0, each[1]), out)
        udp = UdpSender((said,))
        self._timed("send", lambda each: udp.send(each, way), sealed)

    def _timed(self, stage: str, do: Callable, over: Iterable) -> list:  # type: ignore[type-arg]
        begun_ns = time.thread_time_ns()
        done = [do(each) for each in over]
        self.us[stage] += (time.thread_time_ns() - begun_ns) / 1000
        return done


def stage_us(calls: int) -> dict[str, float]:
    """Microseconds of processor time for each datagram, by stage."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as said,
    ):
        heard.bind((LOOPBACK, 0))
        grow_buffers(heard)
        # What does not fit is dropped by the kernel, as it would be on its way.
        said.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        said.bind((LOOPBACK, 0))
        heard.settimeout(1)
        stages = Stages(calls)
        for n in range(WARM_ROUNDS + ROUNDS):
            if n == WARM_ROUNDS:
                stages.us = dict.fromkeys(STAGES, 0.0)
            stages.round(n, heard, said)
    return {stage: us / (2 * calls * ROUNDS) for stage, us in stages.us.items()}
