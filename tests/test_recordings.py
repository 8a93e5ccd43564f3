"""The recorded speech that the end-to-end tests send."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import recordings


@pytest.mark.parametrize(("rate", "channels"), [(48_000, 2), (44_100, 1), (16_000, 3)])
def test_no_block_occurs_twice_and_none_is_silent(tmp_path: Path, rate: int, channels: int) -> None:
    path = tmp_path / "speech.wav"
    pcm = recordings.speech_wav(path, 20, rate=rate, channels=channels)
    block_bytes = rate * 5 // 1000 * channels * 2
    blocks = [pcm[at : at + block_bytes] for at in range(0, len(pcm), block_bytes)]
    assert len(pcm) == 20 * rate * channels * 2
    assert len(set(blocks)) == len(blocks)
    assert all(any(block) for block in blocks)
    assert recordings.read_pcm(path) == (rate, channels, pcm)


def test_the_same_arguments_give_the_same_samples(tmp_path: Path) -> None:
    first = recordings.speech_wav(tmp_path / "a.wav", 1)
    assert recordings.speech_wav(tmp_path / "b.wav", 1) == first


def test_it_holds_speech_and_not_only_the_melody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = recordings.speech_wav(tmp_path / "a.wav", 1)
    monkeypatch.setattr(recordings, "_speech", lambda frames, rate, channel: 0)
    assert recordings.speech_wav(tmp_path / "b.wav", 1) != full


def test_missing_recordings_are_said_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError, match="alsa-utils"):
        recordings.speech_wav(tmp_path / "speech.wav", 1)
