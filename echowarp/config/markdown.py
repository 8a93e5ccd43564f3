"""The README's table of options, written from the table.

`python -m echowarp.config.markdown`
"""

from __future__ import annotations

from echowarp.config.option import Option
from echowarp.config.options import OPTIONS


def option_table_markdown() -> str:
    """A Markdown table: option, config key, default, role, meaning."""
    head = ("| option | config key | default | role | meaning |", "| --- | --- | --- | --- | --- |")
    note = "Options marked \\* are those of the original EchoWarp."
    return "\n".join((*head, *map(_row, OPTIONS), "", note)) + "\n"


def _row(option: Option) -> str:
    spellings = ", ".join(f"`{flag}`" for flag in option.flags)
    if option.metavar:
        spellings += f" {option.metavar}"
    if option.is_original:
        spellings += " \\*"
    default = f"`{option.default_text}`" if option.default_text else ""
    return f"| {spellings} | {_key(option)} | {default} | {option.role.value} | {option.meaning} |"


def _key(option: Option) -> str:
    if option.key is None:
        return ""
    return f"`{option.key}`" if option.metavar else f"`{option.key}={not option.default}`"


if __name__ == "__main__":
    print(option_table_markdown(), end="")
