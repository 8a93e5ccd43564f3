"""WAV files made by hand, byte by byte."""

from __future__ import annotations

import struct
from typing import Any

GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    padding = b"\0" * (len(body) % 2)
    return name + struct.pack("<I", len(body) if size is None else size) + body + padding


def fmt(
    *, tag: int = 1, channels: int = 2, rate: int = 48000, bits: int = 16, extensible: bool = False
) -> bytes:
    frame_bytes = (bits + 7) // 8 * channels
    head = struct.pack(
        "<HHIIHH",
        0xFFFE if extensible else tag,
        channels,
        rate,
        rate * frame_bytes,
        frame_bytes,
        bits,
    )
    if extensible:
        head += struct.pack("<HHIH", 22, bits, 3, tag) + GUID_TAIL
    return chunk(b"fmt ", head)


def riff(*chunks: bytes, size: int | None = None, kind: bytes = b"RIFF") -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return kind + struct.pack("<I", len(body) if size is None else size) + body


def wav(data: bytes, **format: Any) -> bytes:
    return riff(fmt(**format), chunk(b"data", data))
