from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echowarp.config.quoting import quote, unquote


@given(st.text(st.characters(exclude_categories=["Cs"])))
@settings(derandomize=True, deadline=None)
def test_round_trip(value: str) -> None:
    quoted = quote(value)
    assert unquote(quoted) == value
    assert quoted == quoted.strip() and len(quoted.splitlines()) == 1 and "\0" not in quoted


@pytest.mark.parametrize(
    "value", ["plain", "a=b#c;d%e", 'in "the" middle', "C:\\new", "пароль 🎵", "a  b"]
)
def test_plain_text_stays_as_it_is(value: str) -> None:
    assert quote(value) == value


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("", '""'),
        (" a", '" a"'),
        ('"a', r'"\"a"'),
        ("a\nb\t\\\r", r'"a\nb\t\\\r"'),
        ("\0\x85\u2028\ufeff", r'"\u0000\u0085\u2028\ufeff"'),
        ("a\xa0", r'"a\u00a0"'),
    ],
)
def test_quoted(value: str, quoted: str) -> None:
    assert quote(value) == quoted
    assert unquote(quoted) == value


@pytest.mark.parametrize(
    "text",
    ['"', '"a', '"a"b', '"a"b"', r'"a\"', r'"\x41"', r'"\u12"', r'"\ud800"', r'"\U0001f600"'],
)
def test_wrong(text: str) -> None:
    with pytest.raises(ValueError, match=r"begins with|after a"):
        unquote(text)
