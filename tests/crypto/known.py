"""The known answers in tests/vectors, decoded, and a random source for tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parent.parent / "vectors"


def load(name: str) -> Any:
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))


CPACE: dict[str, Any] = load("cpace_x25519_sha512.json")
PROTOCOL: list[dict[str, str]] = load("echowarp_protocol1.json")["cases"]


def case_name(case: dict[str, str]) -> str:
    return case["name"]


def unhex(case: dict[str, Any], *names: str) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(case[name]) for name in names)


def counting(start: int = 0) -> Callable[[int], bytes]:
    """A random source that is not random: bytes that count up, mixed a little."""
    state = start

    def random_bytes(count: int) -> bytes:
        nonlocal state
        state += 1
        return bytes((state * 89 + position * 37) % 256 for position in range(count))

    return random_bytes


def bit_flips(data: bytes) -> Iterator[bytes]:
    """Every byte string that differs from `data` in one bit."""
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)
