"""The work that is done for every block, packet and gap, as batches that can be timed.

Each maker keeps what goes on from batch to batch (a playout, a session's numbers) and
returns a function that prepares so many calls, untimed, and gives what is to be called
with which arguments. Everything is the same in every run.
"""

from __future__ import annotations

import itertools
import random
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from echowarp.app.playback import Listener
from echowarp.app.pulled_playback import PulledPlayback
from echowarp.app.reception import Reception
from echowarp.crypto.schedule import SessionKeys
from echowarp.crypto.suite import Suite, cipher_for_audio
from echowarp.media.concealment import Concealer, fill
from echowarp.media.format import Format
from echowarp.media.gain import apply_gain, ramp_gain
from echowarp.media.mix import mix
from echowarp.media.pcm import level_db
from echowarp.media.rate_converter import RateConverter
from echowarp.media.repair import RepairEncoder, RepairRow, RepairSolver
from echowarp.media.resampler import Resampler
from echowarp.media.target import AUTO, TargetDelay
from echowarp.session.broadcast import Broadcast
from echowarp.session.datagrams import DatagramReceiver, DatagramSender
from echowarp.session.inbox import Block, ClientInbox
from echowarp.session.streams import begin
from echowarp.wire.datagram import DatagramType, pack_block, parse_block, parse_header
from echowarp.wire.records import Stream

RATE, CHANNELS, FRAMES = 48_000, 2, 240
STEREO = Format(rate=RATE, channels=CHANNELS, block_frames=FRAMES)
BLOCK_BYTES, BLOCK_NS = STEREO.block_bytes, STEREO.block_ns
HISTORY_FRAMES = RATE // 20
WINDOW = 12
LISTENERS = 50
WARM_BLOCKS = 400
JITTER_NS = 3_000_000

Batch = tuple[Callable[..., object], Iterable[tuple[Any, ...]]]
Prepare = Callable[[int], Batch]


@dataclass(frozen=True, slots=True, kw_only=True)
class HotPath:
    """calls: in one batch, of about half a millisecond, and a multiple of what is done only
    every so many blocks; per: divides the cost of a call."""

    name: str
    calls: int
    make: Callable[[], Prepare]
    per: int = 1


def sound(frames: int, seed: int = 1, peak: int = 9_000) -> bytes:
    """Noise, s16le stereo."""
    rng = random.Random(seed)
    return struct.pack(
        f"<{CHANNELS * frames}h", *[rng.randint(-peak, peak) for _ in range(CHANNELS * frames)]
    )


def _again(work: Callable[..., object], *arguments: object) -> Callable[[], Prepare]:
    """The same call, which leaves nothing behind."""
    return lambda: lambda calls: (work, itertools.repeat(arguments, calls))


def _counted(work: Callable[[int], object]) -> Prepare:
    """A call for each block of a stream that never ends; the first have been already."""
    for n in range(WARM_BLOCKS):
        work(n)
    count = itertools.count(WARM_BLOCKS)
    return lambda calls: (work, [(next(count),) for _ in range(calls)])


def _keys() -> SessionKeys:
    key = bytes(range(32))
    return SessionKeys(
        control_client=key,
        control_server=key,
        udp_client=key,
        audio_hmac=key,
        audio_gcm=key,
        session=bytes(8),
    )


def _sender(suite: Suite) -> DatagramSender:
    return DatagramSender(cipher=cipher_for_audio(suite, _keys()), session=bytes(8))


_BLOCK = sound(FRAMES)
_BODY = pack_block(1, FRAMES, _BLOCK)


def _seal(suite: Suite) -> Prepare:
    sender = _sender(suite)
    return lambda calls: (
        sender.seal,
        itertools.repeat((DatagramType.BLOCK, 0, _BODY), calls),
    )


def _open(suite: Suite) -> Prepare:
    sender = _sender(suite)
    receiver = DatagramReceiver(cipher=cipher_for_audio(suite, _keys()), suite=suite)

    def prepare(calls: int) -> Batch:
        sealed = [sender.seal(DatagramType.BLOCK, 0, _BODY) for _ in range(calls)]
        return receiver.open, [(parse_header(datagram), datagram) for datagram in sealed]

    return prepare


def _parse() -> Prepare:
    datagram = _sender(Suite.NONE).seal(DatagramType.BLOCK, 0, _BODY)

    def parse() -> None:
        parse_header(datagram)
        parse_block(_BODY)

    return lambda calls: (parse, itertools.repeat((), calls))


def _inbox() -> Prepare:
    sender, numbers = _sender(Suite.ENCRYPTED), itertools.count()
    stream = Stream(
        stream=0, codec=0, rate=RATE, channels=CHANNELS, block=FRAMES, seq=0, time=0, user=0
    )
    inbox = ClientInbox(keys=_keys(), suite=Suite.ENCRYPTED)
    inbox.announce(0, begin(stream, 0))

    def prepare(calls: int) -> Batch:
        blocks = [next(numbers) for _ in range(calls)]
        bodies = [pack_block(n, n * FRAMES, _BLOCK) for n in blocks]
        sealed = [sender.seal(DatagramType.BLOCK, 0, body) for body in bodies]
        return inbox.receive, list(zip(sealed, [n * BLOCK_NS for n in blocks], strict=True))

    return prepare


def _row() -> Prepare:
    encoder = RepairEncoder()

    def add_and_make(n: int) -> None:
        encoder.add(n, n * FRAMES, _BLOCK)
        encoder.row(WINDOW)

    return _counted(add_and_make)


def _solver() -> Prepare:
    solver = RepairSolver(0, 0)

    def take(n: int) -> None:
        solver.block(n, n * FRAMES, _BLOCK)
        solver.forget_before(n - 8)

    return _counted(take)


def _rows_of(blocks: list[tuple[int, int, bytes]], rows: int) -> list[RepairRow]:
    encoder, made = RepairEncoder(), list[RepairRow]()
    for block in blocks:
        encoder.add(*block)
        row = encoder.row(WINDOW)
        if row is not None and block[0] >= WINDOW - 1:
            made.append(row)
    return made[:rows]


def _solve(lost: set[int]) -> Prepare:
    blocks = [(n, n * FRAMES, sound(FRAMES, n)) for n in range(WINDOW + len(lost) - 1)]
    rows = _rows_of(blocks, len(lost))

    def solve(solver: RepairSolver) -> None:
        found = [solver.repair(row.seq, row.width, row.sum) for row in rows]
        assert len(found[-1]) == len(lost)

    def solver() -> RepairSolver:
        made = RepairSolver(0, 0)
        for block in blocks:
            if block[0] not in lost:
                made.block(*block)
        return made

    return lambda calls: (solve, [(solver(),) for _ in range(calls)])


def _target() -> Prepare:
    target, rng = TargetDelay(AUTO, period_ns=0, now_ns=0), random.Random(1)
    lags = [rng.randrange(JITTER_NS) for _ in range(997)]
    return _counted(lambda n: target.usable(lags[n % 997], n * BLOCK_NS))


def _received(n: int) -> Block:
    return Block(0, n, n * FRAMES, _BLOCK, first_seq=0, resent=False)


def _reception() -> Prepare:
    reception = Reception(
        STEREO, first_seq=0, first_time=0, latency=AUTO, period_ns=2 * BLOCK_NS, now_ns=0
    )

    def receive(n: int) -> None:
        now_ns = n * BLOCK_NS
        reception.block(_received(n), now_ns)
        reception.set_playout(n - 4, now_ns)
        reception.requests(now_ns)

    return _counted(receive)


class _Card:
    """A sound card that asks when it is told to."""

    pull: Callable[[int], bytes]

    def start(self, pull: Callable[[int], bytes], failed: Callable[[BaseException], None]) -> None:
        self.pull = pull

    def delay_ns(self) -> int | None:
        return 2 * BLOCK_NS

    def stop(self) -> None:
        pass


def _playback() -> Prepare:
    """All that a card's thread does for a block that came in order; the target does not
    move, so nothing is resampled."""

    def ignore(*_: object) -> None:
        pass

    card, now_ns = _Card(), 0
    playback = PulledPlayback(
        lambda _: card,
        latency=4 * BLOCK_NS,
        limit_s=None,
        listener=Listener(
            completed=ignore, played_out=ignore, wanted=ignore, enough=ignore, failed=ignore
        ),
        monotonic_ns=lambda: now_ns,
    )
    playback.begin(STEREO, continued=False, stream=0)

    def play(n: int) -> None:
        nonlocal now_ns
        now_ns = n * BLOCK_NS
        playback.arrived(_received(n), now_ns)
        card.pull(FRAMES)

    return _counted(play)


def _resample(ppm: float) -> Prepare:
    resampler = Resampler(STEREO)
    return lambda calls: (resampler.process, itertools.repeat((_BLOCK, ppm), calls))


def _convert(rate_in: int, rate_out: int) -> Prepare:
    converter = RateConverter(rate_in, rate_out, CHANNELS)
    return lambda calls: (converter.process, itertools.repeat((_BLOCK,), calls))


def _pulled_gap() -> Prepare:
    history = sound(HISTORY_FRAMES)

    def conceal(concealer: Concealer) -> None:
        concealer.conceal(FRAMES)
        concealer.resume(_BLOCK)

    def concealer() -> Concealer:
        made = Concealer(STEREO)
        made.remember(history)
        return made

    return lambda calls: (conceal, [(concealer(),) for _ in range(calls)])


def _pushed_gap() -> Prepare:
    history = sound(HISTORY_FRAMES)
    return _again(lambda: deque(fill(history, FRAMES, _BLOCK, STEREO), 0))()


def _remembered() -> Prepare:
    concealer = Concealer(STEREO)
    return lambda calls: (concealer.resume, itertools.repeat((_BLOCK,), calls))


class _NoRows:
    """Repair is measured by itself."""

    def add(self, seq: int, time: int, payload: bytes) -> None:
        pass

    def row(self, width: int) -> None:
        return None


def _tick() -> Prepare:
    broadcast: Broadcast[int] = Broadcast(
        first_seq=0, first_time=0, block_ns=BLOCK_NS, rows=_NoRows()
    )
    for n in range(LISTENERS):
        broadcast.add(n, _sender(Suite.ENCRYPTED), 0)
        broadcast.open(n, n)
    return _counted(lambda _: deque(broadcast.block(_BLOCK, frames=FRAMES, lost_frames=0), 0))


def _paths() -> Iterator[HotPath]:
    for suite in Suite:
        yield HotPath(name=f"seal, {suite.label}", calls=300, make=partial(_seal, suite))
        yield HotPath(name=f"open, {suite.label}", calls=300, make=partial(_open, suite))
    yield HotPath(name="datagram parsed", calls=500, make=_parse)
    yield HotPath(name="inbox receives", calls=100, make=_inbox)
    yield HotPath(name="tick, a listener", calls=5, make=_tick, per=LISTENERS)
    yield HotPath(name=f"repair row of {WINDOW}", calls=40, make=_row)
    yield HotPath(name="solver takes a block", calls=200, make=_solver)
    yield HotPath(name="1 of 12 solved", calls=20, make=partial(_solve, {4}))
    yield HotPath(name="4 of 12 solved", calls=5, make=partial(_solve, {2, 5, 6, 9}))
    yield HotPath(name="target takes a delay", calls=500, make=_target)
    yield HotPath(name="reception of a block", calls=100, make=_reception)
    yield HotPath(name="arrival to card, a block", calls=16, make=_playback)
    yield HotPath(name="resampler, 200 ppm", calls=8, make=partial(_resample, 200.0))
    yield HotPath(name="resampler, 3000 ppm", calls=5, make=partial(_resample, 3000.0))
    yield HotPath(name="44100 to 48000 Hz", calls=1, make=partial(_convert, 44_100, 48_000))
    yield HotPath(name="48000 to 44100 Hz", calls=1, make=partial(_convert, 48_000, 44_100))
    yield HotPath(name="played and remembered", calls=512, make=_remembered)
    yield HotPath(name="gap of 5 ms, pulled", calls=1, make=_pulled_gap)
    yield HotPath(name="gap of 5 ms, pushed", calls=1, make=_pushed_gap)
    for talkers in (2, 8):
        blocks = [sound(FRAMES, seed, 32_767 // talkers) for seed in range(talkers)]
        yield HotPath(name=f"mix of {talkers}", calls=20, make=_again(mix, blocks))
    for gain in (0.5, 1.5):
        yield HotPath(name=f"gain {gain}", calls=40, make=_again(apply_gain, _BLOCK, gain))
    yield HotPath(name="gain ramp", calls=3, make=_again(ramp_gain, _BLOCK, STEREO, 1.0, 0.5))
    yield HotPath(name="meter", calls=60, make=_again(level_db, _BLOCK))


PATHS = tuple(_paths())
