from __future__ import annotations

import pytest

from echowarp.app.web_files import TYPES, load_files, sound_type


@pytest.mark.parametrize(
    ("beginning", "kind"),
    [
        (b"RIFF\x10\x00\x00\x00WAVEfmt ", "audio/wav"),
        (b"RF64\xff\xff\xff\xffWAVEds64", "audio/wav"),
        (b"RIFF\x10\x00\x00\x00AVI LIST", "application/octet-stream"),
        (b"fLaC\x00", "audio/flac"),
        (b"OggS\x00", "audio/ogg"),
        (b"ID3\x04", "audio/mpeg"),
        (b"\xff\xfb\x90", "audio/mpeg"),
        (b"\xff\xf3\x90", "audio/mpeg"),
        (b"\xff\xf1\x50", "application/octet-stream"),
        (b"\xff", "application/octet-stream"),
        (b"\x00\x00\x00\x20ftypM4A ", "audio/mp4"),
        (b"\x1aE\xdf\xa3\x01", "audio/webm"),
        (b"<!doctype html>", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
)
def test_only_sound_has_a_type(beginning: bytes, kind: str) -> None:
    assert sound_type(beginning) == kind


def test_the_files_of_the_page_are_there() -> None:
    files = load_files()
    assert {"index.html", "login.html", "style.css", "page.js"} <= set(files)
    assert {file.type for file in files.values()} <= set(TYPES.values())
    assert len({file.tag for file in files.values()}) == len(files)
