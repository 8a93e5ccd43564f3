"""What a server says of itself."""

from __future__ import annotations

import pytest

from echowarp.app.run_server import source_name
from echowarp.config.settings import Settings


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Settings(), "the microphone"),
        (Settings(device="USB mic"), "USB mic"),
        (Settings(device_id=3), "device 3"),
        (Settings(is_input_audio_device=False), "what the speakers play"),
        (Settings(is_input_audio_device=False, device="HDMI"), "what HDMI plays"),
        (Settings(is_input_audio_device=False, device_id=3), "what device 3 plays"),
        (Settings(source="-"), "standard input"),
        (Settings(source="tone:440"), "tone:440"),
        (Settings(source="song.wav", device="USB mic"), "song.wav"),
    ],
)
def test_a_source_in_words(settings: Settings, words: str) -> None:
    assert source_name(settings) == words
