"""The example config file, written from the table.

`python -m echowarp.config.example > config.example.conf`
"""

from __future__ import annotations

import textwrap

from echowarp.config.conf import SECTION
from echowarp.config.option import Option, Role, value_text
from echowarp.config.options import OPTIONS

INTRODUCTION = f"""\
# A config file for EchoWarp: echowarp --config_file FILE
#
# Every key that there is, with its default. Remove the # before one to set it.
# A value is all that follows the =, without the spaces at its ends; in double
# quotes it keeps them, and \\" \\\\ \\n \\r \\t and \\uXXXX stand for what cannot
# be written otherwise.

{SECTION}
"""


def example_conf() -> str:
    """The text of config.example.conf."""
    return "\n".join((INTRODUCTION, *(_group(role) for role in Role))).rstrip("\n") + "\n"


def _group(role: Role) -> str:
    keys = [_key(option) for option in OPTIONS if option.role is role and option.key is not None]
    return "\n".join((f"# ---- {role.value} ----\n", *keys))


def _key(option: Option) -> str:
    meaning = option.meaning if option.metavar else f"{not option.default}: {option.meaning}"
    lines = textwrap.wrap(meaning, 79, initial_indent="# ", subsequent_indent="# ")
    return "\n".join((*lines, f"#{option.key}={value_text(option.default)}", ""))


if __name__ == "__main__":
    print(example_conf(), end="")
