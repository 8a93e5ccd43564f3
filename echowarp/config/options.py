"""The one table of options.

argv, the config file and the prompts are three readers of it; --help, the
example config file and the README's table are its writers. Nothing that stands
here stands anywhere else; the defaults stand in `Settings`.
"""

from __future__ import annotations

from echowarp.config import impair, kinds
from echowarp.config.kinds import Range
from echowarp.config.option import Option, Role
from echowarp.config.talking_options import TALKING
from echowarp.config.web_options import WEB_OPTIONS

CONFIG_FILE = Option(
    key=None,
    flags=("-f", "--config_file"),
    metavar="FILE",
    parse=kinds.path,
    help="take the settings from FILE alone; ECHOWARP_PASSWORD fills a missing password",
    is_original=True,
)
SAVE_CONFIG = Option(
    key=None,
    flags=("-s", "--save_config"),
    metavar="FILE",
    parse=kinds.path,
    help="write the settings that differ from the defaults to FILE, then run",
    is_original=True,
)
HELP = Option(key=None, flags=("-h", "--help"), help="show this help and exit")
VERSION = Option(key=None, flags=("--version",), help="show the version and exit")
LIST_DEVICES = Option(
    key=None, flags=("--list_devices",), help="list the audio devices on standard output and exit"
)
SELF_TEST = Option(
    key=None,
    flags=("--self_test",),
    help="try the program out over loopback for 10 s, or --duration, and say how well it went",
)
SIMULATE = Option(
    key=None,
    flags=("--simulate",),
    help="the same under a virtual clock: an hour of sound, or --duration, as fast as it goes",
)
LIST_USERS = Option(
    key=None,
    flags=("--list_users",),
    help="print who is at the server on standard output, a name a line, and exit",
)
IMPAIR = Option(
    key=None,
    flags=("--impair",),
    metavar="SPEC",
    parse=impair.impairment_text,
    help="with --self_test or --simulate: a bad network, both ways; such as "
    "loss=5%,burst=3,duplicate=1%, or delay=10ms,jitter=20ms,seed=7",
)

OPTIONS: tuple[Option, ...] = (
    HELP,
    VERSION,
    LIST_DEVICES,
    LIST_USERS,
    SELF_TEST,
    SIMULATE,
    IMPAIR,
    CONFIG_FILE,
    SAVE_CONFIG,
    Option(
        key="is_server",
        flags=("-c", "--client"),
        help="be a client, which receives sound and plays it, not a server, which sends it",
        is_original=True,
        question="What shall this machine do",
    ),
    Option(
        key="udp_port",
        flags=("-u", "--udp_port"),
        metavar="PORT",
        parse=Range(int, 1, 65535),
        help="TCP and UDP port of the server",
        is_original=True,
        question="Port of the server",
    ),
    Option(
        key="password",
        flags=("-p", "--password"),
        metavar="TEXT",
        parse=kinds.secret,
        help="password that both sides share; in a command line other users of the machine "
        "can see it, so rather set ECHOWARP_PASSWORD or give --password_file",
        is_original=True,
        question="Password (not shown)",
    ),
    Option(
        key="password_file",
        flags=("--password_file",),
        metavar="FILE",
        parse=kinds.path,
        help="file whose first line is the password, - for standard input",
    ),
    Option(
        key="reconnect_attempt",
        flags=("-r", "--reconnect"),
        metavar="N",
        parse=Range(int, 0),
        help="client: failed connections in a row before it gives up; server: wrong passwords "
        "before an address is banned; 0 = never",
        is_original=True,
        question="Failures before a client gives up, or is banned (0 = never)",
    ),
    Option(
        key="device_id",
        flags=("-d", "--device_id"),
        metavar="INDEX",
        parse=Range(int, 0),
        help="audio device by its index in --list_devices",
        is_original=True,
    ),
    Option(
        key="device",
        flags=("--device",),
        metavar="NAME",
        parse=kinds.name,
        help="audio device by part of its name, in any case",
    ),
    Option(
        key="follow_default",
        flags=("--follow_default",),
        help="when the system's default device changes, go on with the new one",
    ),
    Option(
        key="device_encoding_names",
        flags=("-e", "--device_encoding_names"),
        metavar="CHARSET",
        parse=kinds.charset,
        help="charset that device names are repaired from; the locale's if not given",
        is_original=True,
    ),
    Option(
        key="ignore_device_encoding_names",
        flags=("--ignore_device_encoding_names",),
        help="leave device names as they come",
        is_original=True,
    ),
    Option(
        key="socket_buffer_size",
        flags=("-b", "--socket_buffer_size"),
        metavar="BYTES",
        parse=Range(int, 1232, 16_777_216),
        help="largest piece read from the network at once",
        is_original=True,
    ),
    Option(
        key="room",
        flags=("--room",),
        metavar="NAME",
        parse=kinds.nickname,
        help="the room to meet others in; of a server with --talkback: where its sound is",
        question="Room to join, if any",
    ),
    Option(
        key="duration",
        flags=("--duration",),
        metavar="SECONDS",
        parse=kinds.seconds,
        help="stop after so many seconds of sound; a server counts from its first listener",
    ),
    Option(
        key="overwrite",
        flags=("--overwrite",),
        help="replace files that exist, which are refused otherwise",
    ),
    Option(
        key="stats",
        flags=("--stats",),
        metavar="FILE",
        parse=kinds.path,
        help="write a line of statistics (JSON) a second to FILE, - for standard error",
    ),
    Option(
        key="is_error_log",
        flags=("-l", "--is_error_log"),
        help="write warnings and errors to echowarp_errors_DATE.log too",
        is_original=True,
    ),
    Option(key="verbose", flags=("-v", "--verbose"), help="say more of what happens"),
    Option(key="quiet", flags=("-q", "--quiet"), help="say nothing but warnings and errors"),
    Option(
        key="is_input_audio_device",
        flags=("-o", "--output"),
        help="capture what an output device plays, not what an input hears",
        role=Role.SERVER,
        is_original=True,
        question="What shall be captured",
    ),
    Option(
        key="source",
        flags=("--source",),
        metavar="SOURCE",
        parse=kinds.source,
        help="what is sent, by a server or under a nickname; device, tone or tone:HZ, none, "
        "a path that ends in .wav, cache:ID (a server, from its cache), or - for raw s16le on "
        "standard input",
        question="What to send",
    ),
    Option(
        key="loop",
        flags=("--loop",),
        help="start a WAV source again at its end, instead of saying goodbye",
    ),
    Option(
        key="sample_rate",
        flags=("--sample_rate",),
        metavar="HZ",
        parse=Range(int, 8_000, 192_000),
        help="rate of the stream, and of a room's mix; if not given, 48000, or a WAV file's own",
    ),
    Option(
        key="channels",
        flags=("--channels",),
        metavar="N",
        parse=Range(int, 1, 8),
        help="channels of the stream, and of a room's mix; if not given, 2, or a WAV file's own",
    ),
    Option(
        key="block_ms",
        flags=("--block_ms",),
        metavar="MS",
        parse=Range(float, 2.5, 10),
        help="milliseconds of sound in a packet, fewer where they do not fit one",
    ),
    Option(
        key="is_ssl",
        flags=("--ssl",),
        help="encrypt the sound (AES-256-GCM)",
        role=Role.SERVER,
        is_original=True,
        question="Encrypt the sound",
    ),
    Option(
        key="is_integrity_control",
        flags=("-i", "--integrity_control"),
        help="protect the sound from being changed (keyed SHA-256), as encryption does too",
        role=Role.SERVER,
        is_original=True,
        question="Protect the sound from being changed on its way",
    ),
    Option(
        key="bind",
        flags=("--bind",),
        metavar="ADDRESS",
        parse=kinds.host,
        help="address to listen on; all of the machine's, IPv4 and IPv6, if not given",
        role=Role.SERVER,
    ),
    Option(
        key="max_clients",
        flags=("--max_clients",),
        metavar="N",
        parse=Range(int, 1),
        help="most clients at once",
        role=Role.SERVER,
    ),
    Option(
        key="talkback",
        flags=("--talkback",),
        help="let clients with a nickname talk back to the stream: what they say is played here",
        role=Role.SERVER,
        question="Let listeners talk back",
    ),
    Option(
        key="workers",
        flags=("-w", "--workers"),
        metavar="N",
        parse=Range(int, 1),
        help="most workers that share the clients",
        role=Role.SERVER,
        is_original=True,
    ),
    Option(
        key="ban_list",
        flags=("--ban_list",),
        metavar="FILE",
        parse=kinds.path,
        help="file of banned addresses, one a line",
        role=Role.SERVER,
    ),
    *WEB_OPTIONS,
    Option(
        key="server_address",
        flags=("-a", "--server_address"),
        metavar="HOST",
        parse=kinds.host,
        help="the server: host name, IPv4 or IPv6 address; a client needs it",
        role=Role.CLIENT,
        is_original=True,
        question="Address of the server",
    ),
    Option(
        key="sink",
        flags=("--sink",),
        metavar="SINK",
        parse=kinds.sink,
        help="where sound goes, a talkback's too: device, null, a path that ends in .wav, "
        "or - for raw s16le on standard output",
        question="Where the sound goes",
    ),
    Option(
        key="latency",
        flags=("--latency",),
        metavar="LATENCY",
        parse=kinds.latency,
        help="how far playout stays behind: low, auto, robust, or milliseconds 0..2000",
    ),
    Option(
        key="volume",
        flags=("--volume",),
        metavar="PERCENT",
        parse=Range(int, 0, 400),
        help="how loud sound is played or recorded; at 100 no sample is changed",
    ),
    *TALKING,
)

BY_KEY: dict[str, Option] = {option.key: option for option in OPTIONS if option.key is not None}
