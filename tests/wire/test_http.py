from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.wire.http import (
    BODY_NS,
    HEAD_NS,
    IDLE_NS,
    MAX_BODY_BYTES,
    MAX_LINE_BYTES,
    PAUSE_BYTES,
    Request,
    RequestReader,
    State,
)
from echowarp.wire.http_fields import HttpError
from tests.virtual import S, chunks

NOW = 1_000 * S
HOST = b"Host: h\r\n"
GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"


def post(fields: bytes, content: bytes = b"", line: bytes = b"POST /a HTTP/1.1") -> bytes:
    return line + b"\r\n" + HOST + fields + b"\r\n" + content


def reader_of(data: bytes) -> RequestReader:
    reader = RequestReader(NOW)
    reader.receive(data, NOW)
    return reader


def request_of(data: bytes) -> Request:
    request = reader_of(data).next_request()
    assert request is not None
    return request


def refused(data: bytes) -> int:
    """The status with which a request is refused, in one piece and byte by byte."""
    found = []
    for size in (len(data), 1):
        reader = RequestReader(NOW)
        with pytest.raises(HttpError) as caught:
            for at in range(0, len(data), size):
                reader.receive(data[at : at + size], NOW)
                if reader.next_request() is not None or reader.state is State.BODY:
                    reader.body()
                reader.body()
        assert reader.state is State.CLOSED
        assert reader.timeout_ns() is None
        assert reader.next_request() is None
        found.append(caught.value.status)
    assert found[0] == found[1]
    return found[0]


def test_a_request() -> None:
    request = request_of(b"GET /%61?b=c HTTP/1.1\r\nhost: x:1\r\nX-Y: z\r\n\r\n")
    assert (request.method, request.target, request.path) == ("GET", "/%61?b=c", "/a")
    assert request.query == {"b": "c"}
    assert (request.host, request.minor, request.body_bytes) == ("x:1", 1, 0)
    assert request.headers.get("x-y") == "z"
    assert request.keep_alive
    assert not request.expects_continue


def test_a_target_that_names_the_host_outdoes_the_field() -> None:
    assert request_of(b"GET http://x/ HTTP/1.1\r\n" + HOST + b"\r\n").host == "x"


@pytest.mark.parametrize(
    ("line", "fields", "stays"),
    [
        (b"GET / HTTP/1.1", b"", True),
        (b"GET / HTTP/1.1", b"Connection: Upgrade, CLOSE\r\n", False),
        (b"GET / HTTP/1.0", b"", False),
        (b"GET / HTTP/1.0", b"Connection: Keep-Alive\r\n", True),
        (b"GET / HTTP/1.0", b"Connection: keep-alive, close\r\n", False),
    ],
)
def test_whether_a_connection_stays(line: bytes, fields: bytes, stays: bool) -> None:
    reader = reader_of(post(fields, line=line))
    request = reader.next_request()
    assert request is not None
    assert request.keep_alive is stays
    assert reader.answered(NOW) is stays
    assert (reader.state is State.CLOSED) is not stays


def test_an_old_request_needs_no_host() -> None:
    assert request_of(b"GET / HTTP/1.0\r\n\r\n").host == ""


def test_requests_may_wait_in_line() -> None:
    reader = reader_of(GET + post(b"Content-Length: 3\r\n", b"abc") + GET)
    first = reader.next_request()
    assert first is not None
    assert reader.next_request() is None
    assert reader.answered(NOW)
    second = reader.next_request()
    assert second is not None
    assert second.body_bytes == 3
    assert reader.body() == b"abc"
    assert reader.body_complete
    assert reader.answered(NOW)
    assert reader.next_request() == first
    assert reader.answered(NOW)
    assert reader.state is State.IDLE
    assert reader.next_request() is None


def test_content_left_unread_ends_the_connection() -> None:
    reader = reader_of(post(b"Content-Length: 3\r\n", b"ab"))
    assert reader.next_request() is not None
    assert not reader.answered(NOW)
    assert not reader.answered(NOW)
    assert reader.state is State.CLOSED


@given(st.lists(st.integers(1, 60)))
def test_content_in_any_pieces(sizes: list[int]) -> None:
    chunked = b'3\r\nabc\r\n0A;x=y;z="\\"q"\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n'
    sent = post(b"Transfer-Encoding: chunked\r\n", chunked) + GET
    reader, content = RequestReader(NOW), b""
    requests = []
    for piece in chunks(sent, sizes):
        reader.receive(piece, NOW)
        if (request := reader.next_request()) is not None:
            requests.append(request)
        content += reader.body()
        if reader.state is State.ANSWERING:
            assert reader.answered(NOW)
            if (request := reader.next_request()) is not None:
                requests.append(request)
    assert content == b"abc0123456789"
    assert [request.body_bytes for request in requests] == [None, 0]


@pytest.mark.parametrize(
    "line",
    [
        b"GET",
        b"GET /",
        b"GET / HTTP/1",
        b"GET / HTTP/1.1 ",
        b" GET / HTTP/1.1",
        b"GET  / HTTP/1.1",
        b"GET / / HTTP/1.1",
        b"GET\t/ HTTP/1.1",
        b"GET / http/1.1",
        b"GET / HTTP/1.1x",
        b"GET / HTTP/11",
        b"GET / FTP/1.1",
        b"G@T / HTTP/1.1",
        b"GET /\x00 HTTP/1.1",
        b"GET /\xe9 HTTP/1.1",
        b"GET / HTTP/1.1\r",
        b"GET /\r HTTP/1.1",
        b"GET h:1 HTTP/1.1",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_a_line_that_breaks_the_syntax(line: bytes) -> None:
    assert refused(post(b"", line=line)) == 400


@pytest.mark.parametrize("version", [b"0.9", b"1.2", b"1.9", b"2.0", b"9.9"])
def test_other_versions(version: bytes) -> None:
    assert refused(post(b"", line=b"GET / HTTP/" + version)) == 505


def test_the_preface_of_http_2() -> None:
    assert refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == 505


def test_one_empty_line_before_a_request_is_overlooked() -> None:
    assert request_of(b"\r\n" + GET).path == "/a"
    assert refused(b"\r\n\r\n" + GET) == 400
    assert refused(b"\n" + GET) == 400


def test_lines_end_with_both_bytes() -> None:
    assert refused(GET.replace(b"\r\n", b"\n")) == 400
    assert refused(GET.replace(b"\r\n", b"\r") + b"\n") == 400


def test_a_line_may_be_so_long_and_no_longer() -> None:
    rest = len(b"GET / HTTP/1.1\r\n")
    assert request_of(GET.replace(b"/a", b"/" + b"a" * (MAX_LINE_BYTES - rest)))
    assert refused(GET.replace(b"/a", b"/" + b"a" * (MAX_LINE_BYTES - rest + 1))) == 414
    assert refused(b"G" * (MAX_LINE_BYTES + 1)) == 414


@pytest.mark.parametrize(
    "hosts",
    [
        b"",
        HOST + HOST,
        b"Host: a\r\nhost: b\r\n",
        b"Host: a, b\r\n",
        b"Host: a/b\r\n",
        b"Host: :\r\n",
    ],
)
def test_a_request_has_one_host(hosts: bytes) -> None:
    assert refused(b"GET / HTTP/1.1\r\n" + hosts + b"\r\n") == 400


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        b"Content-Length: 3\r\nContent-Length: 4\r\n",
        b"Content-Length: 3\r\nContent-Length: 3\r\n",
        b"Content-Length: 3, 4\r\n",
        b"Content-Length: 3, 3\r\n",
        b"Content-Length: +3\r\n",
        b"Content-Length: -3\r\n",
        b"Content-Length: 0x3\r\n",
        b"Content-Length: 3_0\r\n",
        b"Content-Length: 3 0\r\n",
        b"Content-Length: \xb2\r\n",
        b"Content-Length:\r\n",
        b"Content-Length: 99999999999999999999\r\n",
        b"Content-Length : 3\r\n",
        b"Transfer-Encoding: chunked, chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked, gzip\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: \x0bchunked\r\n",
        b'Transfer-Encoding: "chunked"\r\n',
        b"Transfer-Encoding: chunked;q=1\r\n",
        b"Transfer-Encoding:\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"X: y\r\n Transfer-Encoding: chunked\r\n",
    ],
)
def test_lengths_that_could_be_understood_in_two_ways(fields: bytes) -> None:
    assert refused(post(fields, b"0\r\n\r\n")) == 400


def test_a_coding_that_is_not_known() -> None:
    assert refused(post(b"Transfer-Encoding: gzip, chunked\r\n")) == 501


def test_an_old_request_has_no_chunks() -> None:
    line = b"POST / HTTP/1.0"
    assert refused(post(b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", line)) == 400


@pytest.mark.parametrize(
    "content",
    [
        b"\r\n",
        b"x\r\n",
        b"-1\r\n",
        b"+1\r\na\r\n",
        b"0x1\r\na\r\n",
        b" 1\r\na\r\n",
        b"1 \r\na\r\n",
        b"1\na\r\n",
        b"1\ra\r\n",
        b"1\r\nab\r\n",
        b"1\r\na\n",
        b"1\r\na\r\r\n",
        b"1\r\n\r\n\r\n",
        b"1;\r\na\r\n",
        b"1;=x\r\na\r\n",
        b'1;a="x\r\na\r\n',
        b"1;a\0\r\na\r\n",
        b"1;a\n\r\na\r\n",
        b"1" * 13 + b"\r\n",
        b"1;" + b"a" * 256 + b"\r\n",
        b"0\r\nA : b\r\n\r\n",
        b"0\r\n folded\r\n\r\n",
        (b"1;" + b"a" * 249 + b"\r\na\r\n") * 66,
    ],
)
def test_chunks_that_break_the_syntax(content: bytes) -> None:
    assert refused(post(b"Transfer-Encoding: chunked\r\n", content)) == 400


def test_content_may_be_so_long_and_no_longer() -> None:
    most = MAX_BODY_BYTES
    assert request_of(post(b"Content-Length: %d\r\n" % most)).body_bytes == most
    assert refused(post(b"Content-Length: %d\r\n" % (most + 1))) == 413
    chunk = b"%x\r\n%b\r\n" % (most, bytes(most))
    fields = b"Transfer-Encoding: chunked\r\n"
    reader = reader_of(post(fields, chunk + b"0\r\n\r\n"))
    assert reader.next_request() is not None
    assert reader.body() == bytes(most)
    assert reader.body_complete
    reader = reader_of(post(fields, chunk + b"1\r\n"))
    assert reader.next_request() is not None
    with pytest.raises(HttpError) as caught:
        reader.body()
    assert caught.value.status == 413


def test_expectations() -> None:
    expect = b"Expect: 100-Continue\r\n"
    assert request_of(post(expect + b"Content-Length: 1\r\n")).expects_continue
    assert not request_of(post(expect)).expects_continue
    assert not request_of(post(expect, line=b"GET / HTTP/1.0")).expects_continue
    assert refused(post(b"Expect: 200-ok\r\n")) == 417


def test_what_follows_is_for_another_protocol() -> None:
    reader = reader_of(GET + b"\x81\x00")
    assert reader.next_request() is not None
    assert reader.take_rest() == b"\x81\x00"
    assert reader.state is State.CLOSED
    reader.receive(b"x", NOW)
    assert reader.take_rest() == b""


def late(reader: RequestReader, due_ns: int) -> bool:
    """Whether it ends at due_ns and not before."""
    assert reader.timeout_ns() == due_ns
    reader.handle_timeout(due_ns - 1)
    with pytest.raises(HttpError) as caught:
        reader.handle_timeout(due_ns)
    return caught.value.status == 408 and reader.state is State.CLOSED


def test_a_connection_that_says_nothing() -> None:
    assert late(RequestReader(NOW), NOW + IDLE_NS)


def test_a_header_section_that_trickles() -> None:
    reader = RequestReader(NOW)
    for n, byte in enumerate(GET[:-1]):
        reader.receive(bytes((byte,)), NOW + n)
        assert reader.next_request() is None
    assert late(reader, NOW + HEAD_NS)


def test_content_that_trickles() -> None:
    reader = reader_of(post(b"Content-Length: 9\r\n"))
    assert reader.next_request() is not None
    reader.receive(b"abc", NOW + S)
    assert reader.body() == b"abc"
    assert late(reader, NOW + BODY_NS)


def test_a_server_takes_its_time() -> None:
    reader = reader_of(GET)
    assert reader.next_request() is not None
    assert reader.timeout_ns() is None
    reader.handle_timeout(NOW + 1_000 * S)
    assert reader.answered(NOW + 1_000 * S)
    assert late(reader, NOW + 1_000 * S + IDLE_NS)


def test_a_request_that_waited_has_its_time_too() -> None:
    reader = reader_of(GET + b"GET")
    assert reader.next_request() is not None
    assert reader.answered(NOW + S)
    assert late(reader, NOW + S + HEAD_NS)


def test_a_flood_is_held_back() -> None:
    reader = reader_of(GET)
    assert not reader.paused
    assert reader.next_request() is not None
    reader.receive(bytes(PAUSE_BYTES), NOW)
    assert reader.paused


@given(st.binary(max_size=300), st.lists(st.integers(1, 60)))
def test_any_bytes_are_understood_or_refused(noise: bytes, sizes: list[int]) -> None:
    reader = RequestReader(NOW)
    try:
        for piece in chunks(noise, sizes):
            reader.receive(piece, NOW)
            if reader.next_request() is not None:
                reader.body()
                reader.answered(NOW)
    except HttpError as error:
        status = error.status
        assert status in (400, 505)
