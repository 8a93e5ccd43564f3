"""The options of the web door: the part of the table that has to do with browsers and
the file cache."""

from __future__ import annotations

from echowarp.config import kinds
from echowarp.config.kinds import Range
from echowarp.config.option import Option, Role

WEB_OPTIONS: tuple[Option, ...] = (
    Option(
        key="web_port",
        flags=("--web_port",),
        metavar="PORT",
        parse=Range(int, 1, 65535),
        help="let browsers listen, and clients use the file cache, on this TCP port; "
        "none if not given",
        role=Role.SERVER,
    ),
    Option(
        key="web_cert",
        flags=("--web_cert",),
        metavar="FILE",
        parse=kinds.path,
        help="certificate (PEM, with its chain) for the web port; one is made if not given",
        role=Role.SERVER,
    ),
    Option(
        key="web_key",
        flags=("--web_key",),
        metavar="FILE",
        parse=kinds.path,
        help="private key of the certificate, where it is not in the same file",
        role=Role.SERVER,
    ),
    Option(
        key="cache_dir",
        flags=("--cache_dir",),
        metavar="FOLDER",
        parse=kinds.path,
        help="where the files of the cache are; a folder in the user's cache folder if not given",
        role=Role.SERVER,
    ),
    Option(
        key="cache_max_bytes",
        flags=("--cache_max_bytes",),
        metavar="BYTES",
        parse=Range(int, 1),
        help="most that the cache holds; what was not used for longest is removed for new files",
        role=Role.SERVER,
    ),
    Option(
        key="cache_ttl",
        flags=("--cache_ttl",),
        metavar="SECONDS",
        parse=kinds.seconds,
        help="remove files from the cache that were not used for so long; never if not given",
        role=Role.SERVER,
    ),
)
