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


TALKER: dict[str, Any] = {"is_server": False, "server_address": "h", "nickname": "zoë"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"call": "bob", "room": "kitchen"}, "call and room exclude"),
        *(
            ({"nickname": None, key: value}, f"{key} needs .* nickname")
            for key, value in {"call": "b", "room": "r", "auto_answer": True, "e2e": "c"}.items()
        ),
        ({"push_to_talk": True, "voice_activation": 0.1}, "push_to_talk and voice_activation"),
        ({"source": "none", "microphone": "m"}, "microphone and source none"),
    ],
)
def test_what_a_talker_cannot_be(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check(Settings(**(TALKER | changes)))


@pytest.mark.parametrize(
    ("changes", "notices"),
    [
        ({"source": "tone", "sample_rate": 44100, "call": "b", "e2e": "c", "muted": True}, ()),
        (
            {"source": "a.wav", "loop": True, "channels": 1},
            ("no effect with source a.wav, which has its own: channels",),
        ),
        ({"source": "cache:a", "loop": True, "cache_dir": "c"}, ()),
        ({"source": "tone", "cache_dir": "c"}, ("no effect in client mode: cache_dir",)),
        ({"nickname": None, "source": "tone"}, ("no effect without nickname: source",)),
        (
            {"nickname": None, "muted": True, "agc": True},
            ("no effect without nickname: muted, agc",),
        ),
        ({"hang_over": 100}, ("no effect without voice_activation: hang_over",)),
        ({"talkback": True}, ("no effect in client mode: talkback",)),
    ],
)
def test_notices_of_a_talker(changes: dict[str, Any], notices: tuple[str, ...]) -> None:
    assert check(Settings(**(TALKER | changes))) == notices


def test_talkback_is_played_somewhere() -> None:
    given = Settings(talkback=True, sink="null", volume=50, room="studio")
    assert check(given) == ()
    with pytest.raises(ConfigError, match="talkback needs all in one worker"):
        check(Settings(talkback=True, workers=2))
    with pytest.raises(ConfigError, match="source none needs all in one worker"):
        check(Settings(source="none", workers=2))


@pytest.mark.parametrize(
    ("changes", "notices"),
    [
        ({}, ()),
        ({"is_ssl": True, "loop": True, "source": "a.WAV"}, ()),
        ({"source": "-", "password_file": "secret"}, ()),
        ({"sink": "null"}, ("no effect without talkback: sink",)),
        ({"server_address": "h"}, ("no effect in server mode: server_address",)),
        (
            {"is_server": False, "server_address": "h", "is_ssl": True, "loop": True},
            ("no effect in client mode: is_ssl", "no effect without nickname: loop"),
        ),
        (
            {"password": "x", "password_file": "y"},
            ("no effect beside password: password_file",),
        ),
        ({"source": "tone", "device_id": 0}, ("no effect with source tone: device_id",)),
        ({"follow_default": True, "is_input_audio_device": False}, ()),
        ({"loop": True}, ("no effect unless source is a WAV file: loop",)),
        (
            {"cache_ttl": 9.0, "cache_dir": "c"},
            ("no effect without web_port: cache_ttl, cache_dir",),
        ),
        ({"cache_ttl": 9.0, "cache_dir": "c", "web_port": 8080}, ()),
    ],
)
def test_notices(changes: dict[str, Any], notices: tuple[str, ...]) -> None:
    assert check(Settings(**changes)) == notices


def test_what_a_web_port_cannot_be() -> None:
    with pytest.raises(ConfigError, match="web_port and udp_port are the same"):
        check(Settings(web_port=4415))
    with pytest.raises(ConfigError, match="web_key needs its certificate: give web_cert"):
        check(Settings(web_port=8080, web_key="key.pem"))
    assert check(Settings(web_key="key.pem")) == ("no effect without web_port: web_key",)
    assert check(Settings(web_port=8080, web_cert="both.pem")) == ()


def test_names_are_the_readers() -> None:
    assert check(Settings(sink="null"), lambda option: option.name) == (
        "no effect without --talkback: --sink",
    )
