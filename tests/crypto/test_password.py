from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.crypto.password import encode_password
from echowarp.errors import ConfigError
from tests.crypto.known import PROTOCOL, case_name, unhex

ANGSTROM_FORMS = ("\u00c5", "A\u030a", "\u212b")


@pytest.mark.parametrize("case", PROTOCOL, ids=case_name)
def test_known_answers(case: dict[str, str]) -> None:
    (prs,) = unhex(case, "PRS")
    assert encode_password(case["password"]) == prs


def test_none_is_no_bytes() -> None:
    assert encode_password(None) == b""


def test_ways_to_write_a_letter_are_one() -> None:
    assert {encode_password(form) for form in ANGSTROM_FORMS} == {b"\xc3\x85"}


def test_compatibility_characters_stay_apart() -> None:
    assert encode_password("\ufb01") != encode_password("fi")


def test_every_space_separator_is_a_space() -> None:
    separators = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == "Zs"]
    assert len(separators) > 10
    for separator in separators:
        assert encode_password(f"a{separator}b") == b"a b"


def test_spaces_at_the_ends_count() -> None:
    assert encode_password(" a ") == b" a "


@pytest.mark.parametrize(
    "password", ["", "a\tb", "a\n", "\0", "\x7f", "\x85", "a\udc80", "\ud800b"]
)
def test_refused(password: str) -> None:
    with pytest.raises(ConfigError) as caught:
        encode_password(password)
    assert "\n" not in str(caught.value)
    assert not password or password not in str(caught.value)


def test_length_is_counted_in_encoded_bytes() -> None:
    assert len(encode_password("x" * 1024)) == 1024
    assert len(encode_password("é" * 512)) == 1024
    # Shorter once composed: what counts is what is sent into the proof.
    assert len(encode_password("e\u0301" * 512)) == 1024
    for password in ("x" * 1025, "é" * 513):
        with pytest.raises(ConfigError, match="at most 1024"):
            encode_password(password)


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=200))
def test_any_text_gives_normal_bytes_that_stay(password: str) -> None:
    encoded = encode_password(password)
    text = encoded.decode()
    assert unicodedata.is_normalized("NFC", text)
    assert not any(unicodedata.category(c) == "Zs" and c != " " for c in text)
    assert encode_password(text) == encoded
    assert encode_password(unicodedata.normalize("NFD", password)) == encoded
