from __future__ import annotations

import pytest

from echowarp.wire.http_fields import (
    MAX_FIELDS,
    MAX_FIELDS_BYTES,
    FieldReader,
    Headers,
    HttpError,
    LineBuffer,
)


def read(data: bytes) -> Headers | None:
    buffer = LineBuffer()
    buffer.feed(data)
    return FieldReader().read(buffer)


def status(data: bytes) -> int:
    with pytest.raises(HttpError) as caught:
        read(data)
    return caught.value.status


def test_fields_keep_their_order_and_are_found_in_any_case() -> None:
    headers = read(b"A: 1\r\nb:\t two \t\r\nA: 3\r\nEmpty:\r\nLatin: \xe9\r\n\r\n")
    assert headers is not None
    wanted = [("A", "1"), ("b", "two"), ("A", "3"), ("Empty", ""), ("Latin", "é")]
    assert list(headers) == wanted
    assert headers.all("a") == ["1", "3"]
    assert headers.get("a") == "1, 3"
    assert headers.get("EMPTY") == ""
    assert headers.get("none") is None
    assert "B" in headers
    assert "c" not in headers
    assert headers == Headers(wanted)


def test_lists_are_joined_and_their_empty_elements_left_out() -> None:
    headers = Headers([("Connection", "Upgrade, ,\tClose"), ("connection", ",x,")])
    assert headers.tokens("CONNECTION") == ["upgrade", "close", "x"]
    assert headers.tokens("none") == []


@pytest.mark.parametrize(
    "section",
    [
        b"A : 1\r\n",
        b"A\t: 1\r\n",
        b": 1\r\n",
        b"A\r\n",
        b" A: 1\r\n",
        b"A: 1\r\n folded\r\n",
        b"A: 1\r\n\tfolded\r\n",
        b"A\xe9: 1\r\n",
        b"A(: 1\r\n",
        b"A: 1\n",
        b"A: 1\r\r\n",
        b"A: 1\rB: 2\r\n",
        b"A: \0\r\n",
        b"A: \x7f\r\n",
        b"A: \x1b\r\n",
        b"\n",
    ],
)
def test_what_breaks_the_syntax_is_refused(section: bytes) -> None:
    assert status(section + b"\r\n") == 400


def test_a_section_may_be_so_long_and_no_longer() -> None:
    line = b"A: " + b"x" * (MAX_FIELDS_BYTES - 7) + b"\r\n"
    assert read(line + b"\r\n") is not None
    assert status(b"A: x" + line[3:] + b"\r\n") == 431


def test_a_long_line_is_refused_before_its_end() -> None:
    assert read(b"x" * MAX_FIELDS_BYTES) is None
    assert status(b"x" * (MAX_FIELDS_BYTES + 1)) == 431


def test_so_many_fields_and_no_more() -> None:
    assert read(b"A: 1\r\n" * MAX_FIELDS + b"\r\n") is not None
    assert status(b"A: 1\r\n" * (MAX_FIELDS + 1)) == 431


def test_bytes_may_come_one_at_a_time() -> None:
    buffer, reader = LineBuffer(), FieldReader()
    for byte in b"Host: x\r\nA: b\r\n\r":
        buffer.feed(bytes((byte,)))
        assert reader.read(buffer) is None
    buffer.feed(b"\nrest")
    assert reader.read(buffer) == Headers([("Host", "x"), ("A", "b")])
    assert buffer.take(99) == b"rest"
