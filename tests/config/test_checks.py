from __future__ import annotations

from typing import Any

import pytest

from echowarp.config.checks import check
from echowarp.config.settings import Settings
from echowarp.errors import ConfigError


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"is_server": False}, "server_address"),
        ({"device_id": 0, "device": "mic"}, "device_id and device"),
        ({"verbose": True, "quiet": True}, "verbose and quiet"),
        ({"source": "-", "password_file": "-"}, "standard input"),
        ({"follow_default": True, "device": "mic"}, "follow_default and device"),
        ({"follow_default": True, "device_id": 0}, "follow_default and device_id"),
        ({"follow_default": True, "source": "tone"}, "follow_default needs a device: source"),
        (
            {"follow_default": True, "is_server": False, "server_address": "h", "sink": "-"},
            "follow_default needs a device: sink",
        ),
    ],
)
def test_what_cannot_be(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check(Settings(**changes))


@pytest.mark.parametrize(
    ("changes", "notices"),
    [
        ({}, ()),
        ({"is_ssl": True, "loop": True, "source": "a.WAV"}, ()),
        ({"source": "-", "password_file": "secret"}, ()),
        ({"sink": "null"}, ("no effect in server mode: sink",)),
        ({"server_address": "h"}, ("no effect in server mode: server_address",)),
        (
            {"is_server": False, "server_address": "h", "is_ssl": True, "loop": True},
            ("no effect in client mode: loop, is_ssl",),
        ),
        (
            {"password": "x", "password_file": "y"},
            ("no effect beside password: password_file",),
        ),
        ({"source": "tone", "device_id": 0}, ("no effect with source tone: device_id",)),
        ({"follow_default": True, "is_input_audio_device": False}, ()),
        ({"loop": True}, ("no effect unless source is a WAV file: loop",)),
    ],
)
def test_notices(changes: dict[str, Any], notices: tuple[str, ...]) -> None:
    assert check(Settings(**changes)) == notices


def test_names_are_the_readers() -> None:
    assert check(Settings(sink="null"), lambda option: option.name) == (
        "no effect in server mode: --sink",
    )
