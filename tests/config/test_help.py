from __future__ import annotations

from echowarp.config.help import help_text
from echowarp.config.options import OPTIONS


def test_fits_80_columns() -> None:
    assert all(len(line) < 80 and line == line.rstrip() for line in help_text().splitlines())


def test_every_option_is_there_with_its_value_and_help() -> None:
    flat = " ".join(help_text().split())
    for option in OPTIONS:
        spelled = f"{', '.join(option.flags)} {option.metavar}".strip()
        assert f"{spelled} {option.meaning}" in flat


def test_defaults_of_values_are_there() -> None:
    assert "(1..65535) [4415]" in help_text()
    assert "[False]" not in help_text()


def test_groups() -> None:
    assert [line for line in help_text().splitlines() if line.endswith(":")] == [
        "Server and client:",
        "Server:",
        "Client:",
    ]
