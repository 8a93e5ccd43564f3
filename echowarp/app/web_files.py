"""The files of the page, and what every answer of the web door says of itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import NamedTuple

from echowarp.errors import EchoWarpError

TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "ico": "image/x-icon",
    "webmanifest": "application/manifest+json",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "media-src 'self' blob:; img-src 'self' data:; worker-src 'self'; manifest-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
STRANGE_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
"""For what somebody has uploaded: whatever it is, it does nothing here."""
FIELDS = (
    ("X-Content-Type-Options", "nosniff"),
    # Without any referrer a browser tells no origin of a form either, and it is refused.
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("X-Frame-Options", "DENY"),
)
SOUNDS = (
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"\x1aE\xdf\xa3", "audio/webm"),
)
SNIFF_BYTES = 12


class WebFile(NamedTuple):
    """One file of the page. tag: its ETag."""

    content: bytes
    type: str
    tag: str


def load_files() -> Mapping[str, WebFile]:
    """The files of the package by name. Raises EchoWarpError where it came without them."""
    found = {}
    folder = resources.files("echowarp") / "web"
    if not folder.is_dir():
        raise EchoWarpError("the files of the page are missing: install the package anew")
    for entry in folder.iterdir():
        kind = TYPES.get(entry.name.rpartition(".")[2])
        if kind is not None and entry.is_file():
            content = entry.read_bytes()
            tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            found[entry.name] = WebFile(content, kind, tag)
    return found


def sound_type(beginning: bytes) -> str:
    """The media type of a file that begins so; that of no type in particular for others."""
    if beginning[:4] in (b"RIFF", b"RF64") and beginning[8:12] == b"WAVE":
        return "audio/wav"
    if beginning[4:8] == b"ftyp":
        return "audio/mp4"
    for mark, kind in SOUNDS:
        if beginning.startswith(mark):
            return kind
    is_mpeg = len(beginning) > 1 and beginning[0] == 0xFF and beginning[1] & 0xE6 in (0xE2, 0xE4)
    return "audio/mpeg" if is_mpeg else "application/octet-stream"
