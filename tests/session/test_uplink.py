from __future__ import annotations

import pytest

from echowarp.errors import ProtocolError
from echowarp.media.format import Format
from echowarp.session.uplink import relayed_format
from echowarp.wire.records import Stream


def stream(rate: int, channels: int, block: int) -> Stream:
    return Stream(
        stream=0, codec=0, rate=rate, channels=channels, block=block, seq=0, time=0, user=0
    )


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 88_200, 192_000])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_the_shortest_block_that_may_be_asked_for(rate: int, channels: int) -> None:
    fmt = Format.for_blocks(rate=rate, channels=channels, block_ms=2.5)
    assert relayed_format(stream(rate, channels, fmt.block_frames)).block_frames == fmt.block_frames


def test_blocks_that_are_cut_finer_than_sense() -> None:
    with pytest.raises(ProtocolError):
        relayed_format(stream(48_000, 1, 90))
