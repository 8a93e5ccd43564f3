"""Uses real devices in a process of its own: PortAudio looks at the environment once.

    python -m tests.device.cards list
    python -m tests.device.cards record FILE JSON-OF-OPTIONS SECONDS
    python -m tests.device.cards play FILE DEVICE

Each prints one line of JSON. FILE holds s16le at 48 kHz, stereo, without a header.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

from echowarp.device import card
from echowarp.device.opening import Asked, SinkOpener, SourceOpener
from echowarp.device.seams import Capture
from echowarp.errors import DeviceError
from echowarp.media.format import Format
from tests.pulse import raise_priority


def say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


def asked(device_id: int | None, name: str | None) -> Asked:
    return Asked(device_id=device_id, name=name, charset=None, repair=True)


def record(path: str, options: dict[str, Any], seconds: float) -> None:
    """Records; says `opened` once sound comes, and what it saw at the end."""
    source = SourceOpener(
        asked(options.get("device_id"), options.get("name")),
        loopback=options.get("loopback", False),
        rate=options.get("rate"),
        channels=options.get("channels"),
        block_ms=options.get("block_ms", 5),
    ).open()
    captures: list[Capture] = []
    ends: list[BaseException | None] = []
    over = threading.Event()

    def ended(error: BaseException | None) -> None:
        ends.append(error)
        over.set()

    source.start(captures.append, ended)
    while not captures and not over.wait(0.01):
        pass
    say(opened=True, rate=source.format.rate, channels=source.format.channels)
    over.wait(seconds)
    stopping_ns = time.monotonic_ns()
    source.stop()
    stopped_ns = time.monotonic_ns()
    Path(path).write_bytes(b"".join(capture.pcm for capture in captures))
    say(
        error=str(ends[0]) if ends else None,
        kind=type(ends[0]).__name__ if ends else None,
        ends=len(ends),
        blocks=len(captures),
        sizes=sorted({len(capture.pcm) for capture in captures}),
        lost_frames=sum(capture.lost_frames for capture in captures),
        since_last_s=(stopping_ns - captures[-1].captured_ns) / 1e9 if captures else None,
        span_s=(captures[-1].captured_ns - captures[0].captured_ns) / 1e9 if captures else None,
        stop_s=(stopped_ns - stopping_ns) / 1e9,
        threads=threading.active_count(),
    )


def play(path: str, device: str) -> None:
    """Plays the file once, then a little silence."""
    pcm = Path(path).read_bytes()
    format = Format.for_blocks(rate=48000, channels=2, block_ms=5)
    sink = SinkOpener(asked(None, device)).open(format)
    position = 0
    over = threading.Event()
    failures: list[BaseException] = []

    def pull(frames: int) -> bytes:
        nonlocal position
        wanted = frames * format.frame_bytes
        piece = pcm[position : position + wanted]
        position += wanted
        if position > len(pcm) + 10 * wanted:
            over.set()
        return piece.ljust(wanted, b"\0")

    def failed(error: BaseException) -> None:
        failures.append(error)
        over.set()

    sink.start(pull, failed)
    say(opened=True)
    over.wait(60)
    stopping_ns = time.monotonic_ns()
    delay_ns = sink.delay_ns()
    sink.stop()
    say(
        error=str(failures[0]) if failures else None,
        kind=type(failures[0]).__name__ if failures else None,
        delay_ms=None if delay_ns is None else delay_ns / 1e6,
        stop_s=(time.monotonic_ns() - stopping_ns) / 1e9,
        threads=threading.active_count(),
    )


def main(command: str, *rest: str) -> None:
    try:
        if command == "list":
            say(
                devices=[dataclasses.asdict(device) for device in card.list_all(None, True)],
                table=card.device_table(None, True),
            )
        elif command == "record":
            record(rest[0], json.loads(rest[1]), float(rest[2]))
        else:
            play(rest[0], rest[1])
    except DeviceError as error:
        say(refused=str(error))


if __name__ == "__main__":
    sys.setswitchinterval(0.0001)
    raise_priority()
    main(*sys.argv[1:])
