"""The settings of one run: what argv, a config file and the prompts all produce."""

from __future__ import annotations

from dataclasses import dataclass, field

AUTO_LATENCY = "auto"
LATENCIES = ("low", AUTO_LATENCY, "robust")
"""The targets that have a name; the others are milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Checked settings, named as the keys of a config file.

    Meanings and ranges stand in `echowarp.config.options`; the defaults stand
    here. None means "not given". Of `password` and `password_file` at most one
    was given by the user: with a `password_file`, `password` is what it held.
    """

    is_server: bool = True
    is_input_audio_device: bool = True
    udp_port: int = 4415
    socket_buffer_size: int = 6144
    device_id: int | None = None
    password: str | None = field(default=None, repr=False)
    device_encoding_names: str | None = None
    ignore_device_encoding_names: bool = False
    is_error_log: bool = False
    reconnect_attempt: int = 5
    server_address: str | None = None
    is_ssl: bool = False
    is_integrity_control: bool = False
    workers: int = 1
    device: str | None = None
    follow_default: bool = False
    source: str = "device"
    sink: str = "device"
    loop: bool = False
    sample_rate: int | None = None
    channels: int | None = None
    block_ms: float = 5.0
    latency: str = AUTO_LATENCY
    volume: int = 100
    bind: str | None = None
    max_clients: int = 64
    ban_list: str = "echowarp_ban_list.txt"
    web_port: int | None = None
    web_cert: str | None = None
    web_key: str | None = None
    cache_dir: str | None = None
    cache_max_bytes: int = 10 * 2**30
    cache_ttl: float | None = None
    duration: float | None = None
    overwrite: bool = False
    stats: str | None = None
    password_file: str | None = None
    talkback: bool = False
    nickname: str | None = None
    call: str | None = None
    room: str | None = None
    auto_answer: bool = False
    e2e: str | None = field(default=None, repr=False)
    microphone: str | None = None
    muted: bool = False
    push_to_talk: bool = False
    voice_activation: float | None = None
    hang_over: int = 400
    agc: bool = False
    gate: bool = False
    verbose: bool = False
    quiet: bool = False

    @property
    def talks(self) -> bool:
        """Whether this is a client that others hear, and know by a name."""
        return not self.is_server and self.nickname is not None

    @property
    def latency_ms(self) -> float | None:
        """The playout target in milliseconds, or None where it has a name."""
        return None if self.latency in LATENCIES else float(self.latency)
