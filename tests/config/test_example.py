from __future__ import annotations

import re
from pathlib import Path

from echowarp.config.conf import parse_conf
from echowarp.config.example import example_conf
from echowarp.config.options import BY_KEY
from echowarp.config.settings import Settings

COMMITTED = Path(__file__).parents[2] / "config.example.conf"


def test_committed_file_is_this_text() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == example_conf()


def test_it_loads_as_it_is() -> None:
    assert parse_conf(example_conf(), "example") == (Settings(), ())


def test_it_loads_as_the_defaults_with_every_key_set() -> None:
    text, count = re.subn(r"^#(?=\w+=)", "", example_conf(), flags=re.MULTILINE)
    assert count == len(BY_KEY)
    assert parse_conf(text, "example") == (Settings(), ())


def test_it_is_narrow_and_ascii() -> None:
    assert example_conf().isascii()
    assert all(len(line) < 80 for line in example_conf().splitlines())
