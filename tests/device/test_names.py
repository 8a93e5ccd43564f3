from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.device.names import repair_name

GOOD = [
    "Built-in Audio Analog Stereo",
    "Микрофон (Realtek High Definition Audio)",
    "Lautsprecher (Höhen & Bässe)",
    "Głośnik",
    "麦克风 (USB)",
    "マイク",
    "Kopfhörer von Zoë",
    "Écouteurs",
    "HDA Intel PCH: ALC257 Analog (hw:0,0)",
    "",
]


@pytest.mark.parametrize("charset", [None, "utf-8", "cp1251", "cp1252", "latin-1", "cp932"])
@pytest.mark.parametrize("name", GOOD)
def test_good_names_stay(name: str, charset: str | None) -> None:
    assert repair_name(name, charset) == name


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("wrong", ["latin-1", "cp1251"])
def test_utf8_read_as_something_else(name: str, wrong: str) -> None:
    assert repair_name(name.encode().decode(wrong), wrong) == name


@pytest.mark.parametrize(
    ("name", "charset"),
    [("Микрофон (USB)", "cp1251"), ("Микрофон", "koi8-r"), ("マイク", "cp932"), ("麦克风", "gbk")],
)
@pytest.mark.parametrize("wrong", ["latin-1", "cp1252"])
def test_an_old_charset_read_as_western(name: str, charset: str, wrong: str) -> None:
    assert repair_name(name.encode(charset).decode(wrong), charset) == name


@pytest.mark.parametrize(
    ("raw", "charset", "name"),
    [
        ("Микрофон".encode(), None, "Микрофон"),
        ("Микрофон".encode(), "cp1251", "Микрофон"),
        ("Микрофон".encode("cp1251"), "cp1251", "Микрофон"),
        (b"caf\xe9", "no-such-charset", "café"),
    ],
)
def test_bytes(raw: bytes, charset: str | None, name: str) -> None:
    assert repair_name(raw, charset) == name


def test_control_characters_go() -> None:
    assert repair_name("Output (\r\n;(Phone\x07))\x00", None) == "Output (  ;(Phone))"


@given(
    st.one_of(st.text(), st.binary()),
    st.one_of(st.none(), st.sampled_from(["cp1251", "utf-16", "idna", "rot13", "x", "\0", ""])),
)
def test_never_raises_and_is_always_printable(name: str | bytes, charset: str | None) -> None:
    assert repair_name(name, charset).isprintable()
