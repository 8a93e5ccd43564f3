"""Values of every option, shared by the tests of the readers and writers."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from echowarp.config.settings import Settings

SAMPLES: dict[str, tuple[str, Any]] = {
    "udp_port": ("6532", 6532),
    "socket_buffer_size": ("10240", 10240),
    "device_id": ("1", 1),
    "password": ("my=#%secret", "my=#%secret"),
    "device_encoding_names": ("cp1251", "cp1251"),
    "reconnect_attempt": ("0", 0),
    "server_address": ("192.168.1.5", "192.168.1.5"),
    "workers": ("3", 3),
    "device": ("USB mic", "USB mic"),
    "source": ("TONE:440.5", "tone:440.5"),
    "sink": ("Out.WAV", "Out.WAV"),
    "sample_rate": ("44100", 44100),
    "channels": ("1", 1),
    "block_ms": ("2.5", 2.5),
    "latency": ("40.5", "40.5"),
    "volume": ("80", 80),
    "bind": ("::1", "::1"),
    "max_clients": ("1", 1),
    "ban_list": ("bans.txt", "bans.txt"),
    "duration": ("1e3", 1000.0),
    "stats": ("-", "-"),
    "nickname": ("Zoë", "Zoë"),
    "call": ("bob", "bob"),
    "room": ("kitchen", "kitchen"),
    "e2e": ("four words", "four words"),
    "microphone": ("headset", "headset"),
    "voice_activation": ("0.02", 0.02),
    "hang_over": ("250", 250),
    "web_port": ("8080", 8080),
    "web_cert": ("cert.pem", "cert.pem"),
    "web_key": ("key.pem", "key.pem"),
    "cache_dir": ("cache", "cache"),
    "cache_max_bytes": ("1000000", 1_000_000),
    "cache_ttl": ("3600", 3600.0),
}
"""For each key with a value: a text, and what it is read as."""

REFUSED: tuple[tuple[str, str], ...] = (
    *(("udp_port", text) for text in ("0", "65536", "-1", "x", "4_415", " 4415", "٥", "1.0", "")),
    ("udp_port", "9" * 5000),
    *(("socket_buffer_size", text) for text in ("1231", "16777217")),
    ("device_id", "-1"),
    ("reconnect_attempt", "-1"),
    ("workers", "0"),
    ("max_clients", "0"),
    *(("sample_rate", text) for text in ("7999", "192001")),
    *(("channels", text) for text in ("0", "9")),
    *(("block_ms", text) for text in ("2.4", "10.1", "nan", "inf")),
    *(("duration", text) for text in ("0", "-1", "nan", "inf", "1e999", "soon")),
    *(("latency", text) for text in ("lowest", "", "-1", "2001", "nan")),
    *(("volume", text) for text in ("-1", "401", "loud", "99.5", "5%", "")),
    *(("device_encoding_names", text) for text in ("klingon", "base64", "")),
    *(("source", text) for text in ("tone:19", "tone:20001", "tone:", "tone:x", "cache:", "a.mp3")),
    *(("sink", text) for text in ("none", "tone", "a.mp3", "")),
    *(("server_address", text) for text in ("", "a b", "host:4415", "[::1]:4415", "[::1]:x")),
    *(("server_address", text) for text in ("[::1", "::1]", "[[::1]]", "[]", "a[b]")),
    *(("bind", text) for text in ("", "127.0.0.1:80")),
    ("device", " "),
    *(("ban_list", text) for text in ("", "a\tb")),
    ("stats", ""),
    *((key, " ") for key in ("nickname", "call", "room", "microphone")),
    *(("voice_activation", text) for text in ("-0.1", "1.1", "loud")),
    *(("hang_over", text) for text in ("-1", "5001", "1.5")),
    *(("web_port", text) for text in ("0", "65536", "http")),
    *((key, "") for key in ("web_cert", "web_key", "cache_dir")),
    *(("cache_max_bytes", text) for text in ("0", "10G")),
    *(("cache_ttl", text) for text in ("0", "-1", "a day")),
)
"""Keys with texts that no reader takes."""

FLAG_KEYS = (
    "is_server",
    "is_input_audio_device",
    "ignore_device_encoding_names",
    "follow_default",
    "is_error_log",
    "loop",
    "is_ssl",
    "is_integrity_control",
    "overwrite",
    "verbose",
    "quiet",
    "talkback",
    "auto_answer",
    "muted",
    "push_to_talk",
    "agc",
    "gate",
)

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_PATHS = st.text(
    st.characters(exclude_categories=["Cs"]).filter(lambda c: c >= " "), min_size=1, max_size=20
)
_FINITE = st.floats(min_value=1e-3, max_value=1e9)


@st.composite
def settings(draw: st.DrawFn) -> Settings:
    """Any settings that the checks let pass, without a password file."""
    is_server = draw(st.booleans())
    hosts = st.sampled_from(["localhost", "::1", "192.168.1.5", "bücher.example"])
    chosen: dict[str, Any] = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "is_input_audio_device": st.booleans(),
                "udp_port": st.integers(1, 65535),
                "socket_buffer_size": st.integers(1232, 1 << 24),
                "password": _TEXT,
                "device_encoding_names": st.sampled_from(["cp1251", "utf-8"]),
                "reconnect_attempt": st.integers(0, 10**30),
                "workers": st.integers(1, 99),
                "source": st.sampled_from(["tone", "tone:440", "none", "-", "a b.WAV", "cache:a"]),
                "sink": _PATHS.map(lambda stem: stem + ".wav"),
                "sample_rate": st.integers(8000, 192000),
                "channels": st.integers(1, 8),
                "block_ms": st.floats(2.5, 10),
                "latency": st.floats(0, 2000).map(str),
                "volume": st.integers(0, 400),
                "bind": hosts,
                "max_clients": st.integers(1, 10**6),
                "ban_list": _PATHS,
                "duration": _FINITE,
                "stats": _PATHS,
                "is_ssl": st.booleans(),
                "is_integrity_control": st.booleans(),
                "loop": st.booleans(),
                "overwrite": st.booleans(),
                "is_error_log": st.booleans(),
                "ignore_device_encoding_names": st.booleans(),
                "agc": st.booleans(),
                "hang_over": st.integers(0, 5000),
                "voice_activation": st.floats(0, 1),
                "web_cert": _PATHS,
                "cache_dir": _PATHS,
                "cache_max_bytes": st.integers(1, 10**15),
                "cache_ttl": _FINITE,
            },
        )
    )
    device: dict[str, Any] = draw(
        st.sampled_from([{}, {"device_id": 3}, {"device": ' "odd" name; ünï '}, {"quiet": True}])
    )
    if is_server and chosen.get("source") == "none":
        chosen.pop("workers", None)
    address = draw(hosts) if not is_server else None
    talk: dict[str, Any] = draw(
        st.sampled_from([{}, {"nickname": "Zoë", "call": "bob"}, {"nickname": "z", "e2e": "=#"}])
    )
    if chosen.get("source") == "none":
        chosen.pop("workers", None)
    return Settings(is_server=is_server, server_address=address, **chosen, **device, **talk)
