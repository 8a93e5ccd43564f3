from __future__ import annotations

from echowarp.config.cache_options import CACHE_OPTIONS
from echowarp.config.markdown import cache_table_markdown, option_table_markdown
from echowarp.config.options import OPTIONS


def test_a_row_for_every_option_with_five_cells() -> None:
    rows = [line for line in option_table_markdown().splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(OPTIONS)
    assert {row.count("|") for row in rows} == {6}


def test_rows() -> None:
    table = option_table_markdown()
    assert (
        "| `-c`, `--client` \\* | `is_server=False` |  | server and client | be a client" in table
    )
    assert "| `--block_ms` MS | `block_ms` | `5` | server and client | milliseconds" in table


def test_the_table_of_the_cache() -> None:
    table = cache_table_markdown()
    assert len(table.splitlines()) == 2 + len(CACHE_OPTIONS)
    assert "| `-i`, `--input` FILE |  | upload FILE, download" in table
    assert "| `--sink` SINK | `device` | where" in table
