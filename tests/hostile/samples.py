"""One session's keys and stream, for whoever makes datagrams by hand."""

from __future__ import annotations

from echowarp.crypto.schedule import SessionKeys
from echowarp.wire.records import Stream

KEYS = SessionKeys(
    control_client=b"a" * 32,
    control_server=b"b" * 32,
    udp_client=b"c" * 32,
    audio_hmac=b"d" * 32,
    audio_gcm=b"e" * 32,
    session=b"sessions",
)
STREAM = Stream(stream=0, codec=0, rate=48_000, channels=2, block=240, seq=9, time=99, user=0)
HOST = "192.0.2.7"
