from __future__ import annotations

import pytest

from echowarp.media.format import MAX_PAYLOAD_BYTES, Format


def test_a_block_of_5_ms() -> None:
    fmt = Format.for_blocks(rate=48_000, channels=2, block_ms=5)
    assert (fmt.block_frames, fmt.block_bytes, fmt.block_ns) == (240, 960, 5_000_000)


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("channels", range(1, 9))
@pytest.mark.parametrize("block_ms", [2.5, 5, 6, 10])
def test_a_block_always_fits_a_datagram(rate: int, channels: int, block_ms: float) -> None:
    fmt = Format.for_blocks(rate=rate, channels=channels, block_ms=block_ms)
    assert 1 <= fmt.block_frames <= int(rate * block_ms / 1000)
    assert fmt.block_bytes <= MAX_PAYLOAD_BYTES
    more = (fmt.block_frames + 1) * fmt.frame_bytes
    assert fmt.block_frames == int(rate * block_ms / 1000) or more > MAX_PAYLOAD_BYTES


@pytest.mark.parametrize(
    ("rate", "channels", "block"),
    [(7_999, 2, 240), (192_001, 2, 240), (48_000, 0, 240), (48_000, 9, 1), (48_000, 2, 0)],
)
def test_what_cannot_be_is_refused(rate: int, channels: int, block: int) -> None:
    with pytest.raises(ValueError, match=r"rate|channels|block"):
        Format(rate=rate, channels=channels, block_frames=block)


def test_times_and_frames_convert() -> None:
    fmt = Format(rate=44_100, channels=1, block_frames=220)
    assert fmt.frames_to_ns(44_100 * 3600) == 3600 * 10**9
    assert fmt.ns_to_frames(3600 * 10**9) == 44_100 * 3600
    assert str(fmt) == "44100 Hz, mono"
