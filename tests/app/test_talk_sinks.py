"""The format in which a room is heard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from echowarp.app.talk_sinks import TalkSinks, Told
from echowarp.config.settings import Settings
from echowarp.device.opening import OwnFormat
from echowarp.errors import DeviceError
from echowarp.media.format import Format


def nobody(*_: Any) -> None:
    """Is told."""


def mix_of(own_format: Callable[[], OwnFormat | None], **options: Any) -> Format:
    """The format of the mix of a client with these options."""
    opened: list[Format] = []

    class Card:
        def start(self, pull: object, failed: object) -> None:
            """Plays nothing."""

    def card(fmt: Format) -> Any:
        opened.append(fmt)
        return Card()

    sinks = TalkSinks(
        Settings(is_server=False, nickname="anna", **options),
        latency=0,
        gain=lambda: 1.0,
        card=card,
        own_format=own_format,
        told=Told(asked=nobody, settled=nobody, enough=nobody, failed=nobody, opener=nobody),
        opener=nobody,
    )
    playback = sinks.mixed()
    if options.get("sink", "device") == "device":
        playback.hear("stream", 1, Format(rate=8_000, channels=1, block_frames=40), continued=False)
        assert opened == [playback.snapshot.format]
    assert playback.snapshot.format is not None
    return playback.snapshot.format


@pytest.mark.parametrize(
    ("options", "own", "expected"),
    [
        ({}, OwnFormat(44_100, 2), (44_100, 2)),
        ({}, OwnFormat(16_000, 1), (16_000, 1)),
        ({}, None, (48_000, 2)),
        ({"sample_rate": 8_000}, OwnFormat(44_100, 1), (8_000, 1)),
        ({"channels": 2}, OwnFormat(44_100, 1), (44_100, 2)),
    ],
)
def test_it_is_what_is_asked_for_or_else_the_devices(
    options: dict[str, Any], own: OwnFormat | None, expected: tuple[int, int]
) -> None:
    fmt = mix_of(lambda: own, **options)
    assert (fmt.rate, fmt.channels) == expected
    assert fmt.block_frames == expected[0] // 200


def test_no_device_is_asked_where_none_is_needed() -> None:
    def refuse() -> OwnFormat | None:
        raise DeviceError("there is none")

    assert mix_of(refuse, sink="null").rate == 48_000
    assert mix_of(refuse, sample_rate=32_000, channels=1).rate == 32_000
    with pytest.raises(DeviceError):
        mix_of(refuse)
