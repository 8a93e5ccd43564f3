"""The options of a client that talks."""

from __future__ import annotations

from echowarp.config import kinds
from echowarp.config.kinds import Range
from echowarp.config.option import Option, Role

TALKING: tuple[Option, ...] = (
    Option(
        key="nickname",
        flags=("--nickname",),
        metavar="NAME",
        parse=kinds.nickname,
        help="talk to others under this name, with a microphone or another source",
        role=Role.CLIENT,
        question="Your name, for the others",
    ),
    Option(
        key="call",
        flags=("--call",),
        metavar="NAME",
        parse=kinds.nickname,
        help="call that name, also when nobody is called so yet",
        role=Role.CLIENT,
        question="Whom to call, by their name, if anybody",
    ),
    Option(
        key="auto_answer",
        flags=("--auto_answer",),
        help="answer every call at once",
        role=Role.CLIENT,
        question="Answer every call at once",
    ),
    Option(
        key="e2e",
        flags=("--e2e",),
        metavar="CODE",
        parse=kinds.secret,
        help="encrypt what is said end to end, with a code that the others have too; in a "
        "command line other users of the machine can see it, so rather set ECHOWARP_E2E",
        role=Role.CLIENT,
        question="Code to encrypt what is said end to end (not shown)",
    ),
    Option(
        key="microphone",
        flags=("--microphone",),
        metavar="NAME",
        parse=kinds.name,
        help="input device by part of its name, in any case, where the source is a device",
        role=Role.CLIENT,
    ),
    Option(
        key="muted",
        flags=("--muted",),
        help="begin with the microphone muted",
        role=Role.CLIENT,
    ),
    Option(
        key="push_to_talk",
        flags=("--push_to_talk",),
        help="be heard only while the space bar is held down",
        role=Role.CLIENT,
    ),
    Option(
        key="voice_activation",
        flags=("--voice_activation",),
        metavar="LEVEL",
        parse=Range(float, 0, 1),
        help="be heard only from this level on, a share of full scale; 0.02 suits most",
        role=Role.CLIENT,
    ),
    Option(
        key="hang_over",
        flags=("--hang_over",),
        metavar="MS",
        parse=Range(int, 0, 5000),
        help="how long voice activation goes on after the last loud moment",
        role=Role.CLIENT,
    ),
    Option(
        key="agc",
        flags=("--agc",),
        help="make soft voices louder and loud ones softer",
        role=Role.CLIENT,
    ),
    Option(
        key="gate",
        flags=("--gate",),
        help="silence what is softer than speech",
        role=Role.CLIENT,
    ),
)
