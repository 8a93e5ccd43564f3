"""The README's tables of options, written from the tables.

`python -m echowarp.config.markdown options`, or `"cache options"`
"""

from __future__ import annotations

import sys

from echowarp.config.cache_options import CACHE_OPTIONS
from echowarp.config.option import Option
from echowarp.config.options import OPTIONS


def option_table_markdown() -> str:
    """A Markdown table: option, config key, default, role, meaning."""
    head = ("| option | config key | default | role | meaning |", "| --- | --- | --- | --- | --- |")
    note = "Options marked \\* are those of the original EchoWarp."
    return "\n".join((*head, *map(_row, OPTIONS), "", note)) + "\n"


def cache_table_markdown() -> str:
    """The same for `echowarp cache`: option, default, meaning."""
    head = ("| option | default | meaning |", "| --- | --- | --- |")
    rows = (
        f"| {_spellings(option)} | {_default(option)} | {option.meaning} |"
        for option in CACHE_OPTIONS
    )
    return "\n".join((*head, *rows)) + "\n"


def _spellings(option: Option) -> str:
    spellings = ", ".join(f"`{flag}`" for flag in option.flags)
    return f"{spellings} {option.metavar}" if option.metavar else spellings


def _default(option: Option) -> str:
    return f"`{option.default_text}`" if option.default_text else ""


def _row(option: Option) -> str:
    spellings, default = _spellings(option), _default(option)
    if option.is_original:
        spellings += " \\*"
    return f"| {spellings} | {_key(option)} | {default} | {option.role.value} | {option.meaning} |"


def _key(option: Option) -> str:
    if option.key is None:
        return ""
    return f"`{option.key}`" if option.metavar else f"`{option.key}={not option.default}`"


TABLES = {"options": option_table_markdown, "cache options": cache_table_markdown}
"""By the marks that they stand between in the README."""

if __name__ == "__main__":
    print(TABLES[sys.argv[1]](), end="")
