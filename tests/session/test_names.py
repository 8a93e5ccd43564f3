from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.errors import ConfigError
from echowarp.session.names import MAX_CHARACTERS, Clash, NameBook, parse_name


@pytest.mark.parametrize(
    ("typed", "shown", "key"),
    [
        ("Zoë", "Zoë", "zoë"),
        ("Zoe\u0308", "Zoë", "zoë"),
        ("ＡＬ", "AL", "al"),
        ("Straße", "Straße", "strasse"),
        ("a\u0331\u0330\u032d\u0325", "a\u0331\u0330\u032d\u0325", "a\u0331\u0330\u032d\u0325"),
        ("ﬁnn", "finn", "finn"),
        ("Al\u00a0Capone", "Al Capone", "al capone"),
        ("x" * 32, "x" * 32, "x" * 32),
        ("\N{GRINNING FACE}" * 32, "\N{GRINNING FACE}" * 32, "\N{GRINNING FACE}" * 32),
        ("李小龍", "李小龍", "李小龍"),
    ],
)
def test_names(typed: str, shown: str, key: str) -> None:
    name = parse_name(typed)
    assert (name.shown, name.key) == (shown, key)
    assert parse_name(shown) == name


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        " Al",
        "Al ",
        "Al\u00a0",
        "x" * 33,
        "x" * 10_240,
        "\ufdfa" * 2,
        "A\x00l",
        "A\nl",
        "A\x1b[31ml",
        "A\x7fl",
        "A\u200bl",
        "A\u200dl",
        "A\u00adl",
        "\u202eAl",
        "A\u2066l\u2069",
        "Al\u200f",
        "A\ufeffl",
        "A\u2028l",
        "A\ue000l",
        "A\ud800l",
        "A\ufe0fl",
        "A\U000e0100l",
        "A\U000e0041l",
        "A\u034fl",
        "\u3164",
        "A\uffa0l",
        "\u2800",
        "\u0301Al",
        "Aa\u0331\u0330\u032d\u0325\u0333",
        "A\u0378l",
    ],
)
def test_what_is_no_name(typed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_name(typed, "nickname")
    assert str(caught.value).startswith("the nickname ")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("alice", "аlice"),
        ("alice", "a1ice"),
        ("alice", "aIice"),
        ("alice", "al1ce"),
        ("ALICE", "aIice"),
        ("alice", "ALlCE"),
        ("Bob", "B0b"),
        ("BOB", "ВОВ"),
        ("BOB", "ΒΟΒ"),
        ("bob", "bοb"),
        ("HELLO", "ΗELLO"),
        ("hello", "һello"),
        ("José", "Jose"),
        ("José", "Jo\u0301sé"),
        ("Peter", "Реter"),
        ("scope", "ѕсоре"),
        ("Tim", "Тim"),
        ("Emma", "Ernma"),
        ("Anna-Maria", "Anna‐Maria"),
        ("Al Capone", "Al  Capone"),
        ("Ivan", "lvan"),
        ("Ivan", "|van"),
        ("O'Hara", "0’Hara"),
    ],
)
def test_what_looks_alike(one: str, other: str) -> None:
    first, second = parse_name(one), parse_name(other)
    assert first.key != second.key
    assert first.skeleton == second.skeleton
    book: NameBook[int] = NameBook()
    book.add(first, 1)
    assert book.clash(second) == (Clash.LOOKS_LIKE, first, 1)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("alice", "alicia"),
        ("Bob", "Rob"),
        ("Анна", "Инна"),
        ("李", "王"),
        ("Al", "Al2"),
        ("a", "b"),
    ],
)
def test_what_does_not(one: str, other: str) -> None:
    assert parse_name(one).skeleton != parse_name(other).skeleton


def test_a_book_of_names() -> None:
    book: NameBook[int] = NameBook()
    alice, shouted = parse_name("Alice"), parse_name("ALICE")
    assert book.clash(alice) is None
    book.add(alice, 1)
    assert (len(book), book.holder("alice"), book.holder("bob")) == (1, 1, None)
    assert book.clash(shouted) == (Clash.SAME, alice, 1)
    assert book.suggestion(shouted) == "ALICE2"
    book.add(parse_name("AL1CE2"), 2)
    assert book.suggestion(shouted) == "ALICE3"
    book.remove(alice)
    assert (len(book), book.clash(shouted)) == (1, None)


def test_a_suggestion_for_a_long_name_is_shorter() -> None:
    book: NameBook[int] = NameBook()
    assert book.suggestion(parse_name("x" * 32)) == "x" * 31 + "2"
    assert book.suggestion(parse_name("x" * 30 + " y")) == "x" * 30 + "2"
    faces = "\N{GRINNING FACE}" * 32
    assert book.suggestion(parse_name(faces)) == faces[:-1] + "2"


def test_no_suggestion_when_all_are_taken() -> None:
    book: NameBook[int] = NameBook()
    for number in range(2, 1000):
        name = parse_name(f"al{number}")
        if book.clash(name) is None:
            book.add(name, number)
    assert book.suggestion(parse_name("al")) == ""


@given(st.text(max_size=40))
def test_any_text_is_a_name_or_no_name(text: str) -> None:
    try:
        name = parse_name(text)
    except ConfigError:
        return
    assert 1 <= len(name.shown) <= MAX_CHARACTERS
    assert len(name.shown.encode()) <= 128
    assert name.shown.isprintable()
    assert not {unicodedata.category(each) for each in name.shown} & {"Cc", "Cf", "Cs", "Co", "Cn"}
    assert parse_name(name.shown) == name
    assert name.skeleton
    book: NameBook[int] = NameBook()
    book.add(name, 1)
    suggested = book.suggestion(name)
    assert suggested == "" or book.clash(parse_name(suggested)) is None
