"""What options may not do together, for all three readers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from echowarp.config import kinds
from echowarp.config.option import Option, Role
from echowarp.config.options import BY_KEY
from echowarp.config.settings import Settings
from echowarp.errors import ConfigError

EXCLUSIVE = (
    ("device_id", "device"),
    ("verbose", "quiet"),
    ("follow_default", "device"),
    ("follow_default", "device_id"),
    ("push_to_talk", "voice_activation"),
)
FORMAT = ("sample_rate", "channels")
SOURCE = ("source", "loop", "block_ms", *FORMAT)
"""Of whoever sends: a server, or a client with a nickname."""
SINK = ("sink", "latency", "volume")
"""Of whoever plays: a client, or a server that is talked back to."""
TALKING = (
    *("call", "room", "auto_answer", "e2e", "microphone"),
    *("muted", "push_to_talk", "voice_activation", "hang_over", "agc", "gate"),
)
WEB = ("web_cert", "web_key", "cache_max_bytes", "cache_ttl")
"""Of a server with a web port; cache_dir is also where a source may be."""
DEVICE_SOURCE_ONLY = ("is_input_audio_device", "device_id", "device")


def by_key(option: Option) -> str:
    """How a config file calls an option."""
    return option.key or option.name


def check(settings: Settings, called: Callable[[Option], str] = by_key) -> tuple[str, ...]:
    """Checks settings whose values are each good by themselves.

    `called` gives the name by which the user knows an option. Returns notices,
    a line each, of what was given and has no effect. Raises ConfigError for what
    cannot be.
    """

    def name(key: str) -> str:
        return called(BY_KEY[key])

    for one, other in EXCLUSIVE:
        if _is_given(settings, one) and _is_given(settings, other):
            raise ConfigError(f"{name(one)} and {name(other)} exclude each other: give one of them")
    if not settings.is_server and settings.server_address is None:
        raise ConfigError(f"{name('server_address')} is missing: a client needs its server's")
    if not settings.is_server:
        _check_talking(settings, name)
    if settings.is_server and settings.workers > 1:
        relays = settings.source == "none"
        if relays or settings.talkback:
            what = f"{name('source')} none" if relays else name("talkback")
            raise ConfigError(f"{what} needs all in one worker: leave {name('workers')} 1")
    if settings.is_server and settings.web_port == settings.udp_port:
        raise ConfigError(
            f"{name('web_port')} and {name('udp_port')} are the same: give one of them another"
        )
    serves_web = settings.is_server and settings.web_port is not None
    if serves_web and settings.web_key is not None and settings.web_cert is None:
        raise ConfigError(f"{name('web_key')} needs its certificate: give {name('web_cert')}")
    end = "source" if settings.is_server else "sink"
    if settings.follow_default and getattr(settings, end) != "device":
        raise ConfigError(f"{name('follow_default')} needs a device: {name(end)} is another")
    if settings.source == "-" and settings.password_file == "-":
        raise ConfigError(
            f"{name('source')} and {name('password_file')} both want standard input: "
            "give the password in another way"
        )
    return tuple(_notices(settings, name))


def _check_talking(settings: Settings, name: Callable[[str], str]) -> None:
    if settings.call is not None and settings.room is not None:
        raise ConfigError(f"{name('call')} and {name('room')} exclude each other: give one of them")
    if settings.nickname is None:
        for key in ("call", "room", "auto_answer", "e2e"):
            if _is_given(settings, key):
                raise ConfigError(
                    f"{name(key)} needs a name that others know you by: give {name('nickname')}"
                )
    elif settings.source == "none" and _is_given(settings, "microphone"):
        raise ConfigError(f"{name('microphone')} and {name('source')} none exclude each other")


def _notices(settings: Settings, name: Callable[[str], str]) -> Iterator[str]:
    mode, other = (Role.SERVER, Role.CLIENT) if settings.is_server else (Role.CLIENT, Role.SERVER)
    idle = [key for key in BY_KEY if BY_KEY[key].role is other and _is_given(settings, key)]
    if settings.talks and settings.source.startswith(kinds.CACHE_PREFIX):
        idle = [key for key in idle if key != "cache_dir"]
    if idle:
        yield f"no effect in {mode.value} mode: {', '.join(map(name, idle))}"
    if settings.is_server and not settings.talkback:
        idle = [key for key in (*SINK, "room") if _is_given(settings, key)]
        if idle:
            yield f"no effect without {name('talkback')}: {', '.join(map(name, idle))}"
    if settings.password is not None and settings.password_file is not None:
        yield f"no effect beside {name('password')}: {name('password_file')}"
    if not settings.is_server:
        talkers = () if settings.talks else (*SOURCE, *TALKING)
        idle = [key for key in talkers if _is_given(settings, key)]
        if idle:
            yield f"no effect without {name('nickname')}: {', '.join(map(name, idle))}"
        if _is_given(settings, "hang_over") and settings.talks and not settings.voice_activation:
            yield f"no effect without {name('voice_activation')}: {name('hang_over')}"
        idle = [key for key in ("device_id", "device") if _is_given(settings, key)]
        if settings.sink != "device" and idle:
            names = ", ".join(map(name, idle))
            yield f"no effect with {name('sink')} {settings.sink}: {names}"
    if settings.is_server and settings.web_port is None:
        from_cache = settings.source.startswith(kinds.CACHE_PREFIX)
        keys = WEB if from_cache else (*WEB, "cache_dir")
        idle = [key for key in keys if _is_given(settings, key)]
        if idle:
            yield f"no effect without {name('web_port')}: {', '.join(map(name, idle))}"
    if settings.is_server:
        idle = [key for key in DEVICE_SOURCE_ONLY if _is_given(settings, key)]
        if settings.source != "device" and idle:
            names = ", ".join(map(name, idle))
            yield f"no effect with {name('source')} {settings.source}: {names}"
    sends = settings.is_server or settings.talks
    idle = [key for key in FORMAT if _is_given(settings, key)]
    if sends and _is_wav(settings.source) and idle:
        names = ", ".join(map(name, idle))
        yield f"no effect with {name('source')} {settings.source}, which has its own: {names}"
    if sends and settings.loop and not _is_wav(settings.source):
        yield f"no effect unless {name('source')} is a WAV file: {name('loop')}"


def _is_wav(source: str) -> bool:
    return source.startswith(kinds.CACHE_PREFIX) or source.lower().endswith(".wav")


def _is_given(settings: Settings, key: str) -> bool:
    return bool(getattr(settings, key) != BY_KEY[key].default)
