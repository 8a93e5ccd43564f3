from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.errors import StorageError
from echowarp.session.file_cache import (
    MAX_UPLOADS,
    MAX_WAITING,
    SENT_AT_ONCE_BYTES,
    CacheConnection,
)
from echowarp.wire.file_cache import MAX_GET_BYTES, Entry


class MemoryStore:
    """A store that keeps its files in memory. room: bytes that it takes."""

    def __init__(self, room: int = 1 << 30) -> None:
        self.files: dict[str, bytes] = {}
        self.coming: set[str] = set()
        self.readers = 0
        self.room = room

    def begin(self, stream_id: str) -> MemoryUpload:
        if stream_id in self.files or stream_id in self.coming:
            raise StorageError("it exists")
        self.coming.add(stream_id)
        return MemoryUpload(self, stream_id)

    def open(self, stream_id: str) -> MemoryReader | None:
        data = self.files.get(stream_id)
        return None if data is None else MemoryReader(self, data)

    def list(self) -> list[Entry]:
        return [entry(name, data) for name, data in self.files.items()]


class MemoryUpload:
    def __init__(self, store: MemoryStore, stream_id: str) -> None:
        self._store = store
        self._id = stream_id
        self._data = b""

    def write(self, data: bytes) -> None:
        self._data += data
        if len(self._data) > self._store.room:
            self.abandon()
            raise StorageError("it is full")

    def finish(self) -> Entry:
        self._store.files[self._id] = self._data
        self.abandon()
        return entry(self._id, self._data)

    def abandon(self) -> None:
        self._store.coming.discard(self._id)


class MemoryReader:
    def __init__(self, store: MemoryStore, data: bytes) -> None:
        self._store = store
        self._data = data
        store.readers += 1

    @property
    def size(self) -> int:
        return len(self._data)

    def read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]

    def close(self) -> None:
        self._store.readers -= 1


def entry(name: str, data: bytes) -> Entry:
    return Entry(id=name, size=len(data), sha256=hashlib.sha256(data).hexdigest(), time_s=1.5)


class Client:
    """Asks a connection and reads what it answers."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.connection = CacheConnection(self.store)

    def ask(self, **fields: Any) -> Any:
        """The answer to one message."""
        self.connection.text(json.dumps(fields))
        return self.answer()

    def send(self, data: bytes) -> list[Any]:
        self.connection.binary(data)
        return self.answers()

    def answer(self) -> Any:
        (answer,) = self.answers()
        return answer

    def answers(self) -> list[Any]:
        found: list[Any] = []
        while frames := self.connection.to_send():
            found += [json.loads(each) if isinstance(each, str) else each for each in frames]
        return found

    def upload(self, name: str, data: bytes) -> None:
        assert self.ask(type="start", streamId=name)["type"] == "started"
        for at in range(0, len(data), 8192):
            assert self.send(data[at : at + 8192]) == []
        assert self.ask(type="stop", streamId=name)["type"] == "stopped"


DATA = bytes(range(256)) * 300


def test_a_file_goes_up_and_comes_down() -> None:
    client = Client()
    client.upload("a", DATA)
    assert client.store.files == {"a": DATA}
    ask = {"type": "get", "streamId": "a", "length": 65536}
    assert client.ask(offset=0, **ask) == DATA[:65536]
    assert client.ask(offset=65536, **ask) == DATA[65536:]
    assert client.ask(offset=len(DATA), **ask)["type"] == "error"


@pytest.mark.parametrize(
    ("start", "started", "stopped", "error"),
    [
        ("start", "started", "stopped", "error"),
        ("START", "STARTED", "STOPPED", "ERROR"),
        ("Start", "Started", "Stopped", "Error"),
    ],
)
def test_answers_are_in_the_case_of_the_question(
    start: str, started: str, stopped: str, error: str
) -> None:
    client = Client()
    spell = {"start": str.lower, "START": str.upper, "Start": str.capitalize}[start]
    assert client.ask(type=start, streamId="x") == {
        "type": started,
        "streamId": "x",
        "message": "send its bytes, then stop",
    }
    assert client.ask(type=start, streamId="x")["type"] == error
    assert client.ask(type=spell("stop"), streamId="x")["type"] == stopped
    assert client.ask(type=spell("get"), streamId="x", offset=0, length=1)["type"] == error
    assert client.ask(type=spell("sing"), streamId="x")["type"] == error
    assert client.ask(type=spell("list"))["type"] == spell("listed")
    client.connection.binary(b"of no stream")
    assert client.answer()["type"] == error
    client.connection.text("{")
    assert client.answer()["type"] == error


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "3", "null", '"start"', "{}", '{"type":3}', '{"type":null}'),
        *("[" * 60_000, '{"type":' * 60_000, "9" * 60_000, '{"type":"ﬆart","streamId":"a"}'),
        *('{"type":"start"}', '{"type":"stop"}', '{"type":"get","offset":0,"length":1}'),
        '{"type":"stop","streamId":"never started"}',
        '{"type":"stop","streamId":"never-started"}',
        '{"type":"unknown","streamId":"a"}',
        '{"type":"","streamId":"a"}',
        '{"type":"started","streamId":"a"}',
    ],
)
def test_what_is_wrong_is_answered_and_the_connection_lives(text: str) -> None:
    client = Client()
    client.connection.text(text)
    assert client.answer()["type"].lower() == "error"
    client.upload("a", DATA)
    assert client.store.files == {"a": DATA}


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "a/b", "a\\b", "a b", "a\n", "a\0", "é", "x" * 129, 3, None, ["a"]],
)
def test_ids_that_may_not_be(name: Any) -> None:
    client = Client()
    assert client.ask(type="start", streamId=name)["type"] == "error"
    assert client.store.coming == set()


@pytest.mark.parametrize("name", ["a", "A", "0", "-", "_", "a.b..c", "x" * 128, "stream-0badf00d"])
def test_ids_that_may_be(name: str) -> None:
    client = Client()
    client.upload(name, b"x")
    assert set(client.store.files) == {name}


def test_ids_differ_by_case() -> None:
    client = Client()
    client.upload("a", b"1")
    client.upload("A", b"2")
    assert client.store.files == {"a": b"1", "A": b"2"}


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        *((0, 0), (-1, 5), (0, -5), (None, 5), (0, None), ("0", 5), (0, "5"), (True, 5), (0.5, 5)),
        *((len(DATA), 1), (10**30, 5), (0, MAX_GET_BYTES + 1), (0, 10**30), ([], {})),
    ],
)
def test_ranges_that_make_no_sense(offset: Any, length: Any) -> None:
    client = Client()
    client.upload("a", DATA)
    answer = client.ask(type="get", streamId="a", offset=offset, length=length)
    assert answer["type"] == "error" and answer["message"] and answer["streamId"] == "a"
    assert client.ask(type="get", streamId="a", offset=0, length=5) == DATA[:5]


def test_whole_numbers_may_be_written_as_fractions() -> None:
    client = Client()
    client.upload("a", DATA)
    assert client.ask(type="get", streamId="a", offset=2.0, length=3e0) == DATA[2:5]


@given(st.integers(0, 2000), st.integers(1, 2000))
def test_a_get_is_short_only_at_the_end(offset: int, length: int) -> None:
    client = Client()
    client.store.files["a"] = DATA[:1000]
    answer = client.ask(type="get", streamId="a", offset=offset, length=length)
    if offset < 1000:
        assert answer == DATA[offset : min(offset + length, 1000)]
    else:
        assert answer["type"] == "error"


def test_an_empty_file() -> None:
    client = Client()
    client.upload("a", b"")
    assert client.ask(type="get", streamId="a", offset=0, length=5)["type"] == "error"


def test_chunks_belong_to_the_stream_started_last() -> None:
    client = Client()
    client.ask(type="start", streamId="a")
    client.send(b"1")
    client.ask(type="start", streamId="b")
    client.send(b"2")
    assert client.ask(type="stop", streamId="a")["type"] == "stopped"
    client.send(b"3")
    assert client.ask(type="stop", streamId="b")["type"] == "stopped"
    assert client.store.files == {"a": b"1", "b": b"23"}
    assert [each["type"] for each in client.send(b"4")] == ["error"]


def test_a_start_that_fails_leaves_the_stream_before_as_it_is() -> None:
    client = Client()
    client.upload("a", b"old")
    client.ask(type="start", streamId="b")
    assert client.ask(type="start", streamId="a")["type"] == "error"
    client.send(b"new")
    client.ask(type="stop", streamId="b")
    assert client.store.files == {"a": b"old", "b": b"new"}


def test_an_id_that_another_connection_uploads_exists() -> None:
    store = MemoryStore()
    one, other = Client(store), Client(store)
    one.ask(type="start", streamId="a")
    assert other.ask(type="start", streamId="a")["type"] == "error"
    one.connection.closed()
    other.upload("a", b"theirs")
    assert store.files == {"a": b"theirs"}


def test_a_connection_that_ends_before_stop_leaves_nothing() -> None:
    client = Client()
    client.store.files["x"] = DATA
    client.ask(type="get", streamId="x", offset=0, length=1)
    client.ask(type="start", streamId="a")
    client.send(DATA)
    client.connection.closed()
    client.connection.closed()
    assert (client.store.files, client.store.coming) == ({"x": DATA}, set())
    assert client.store.readers == 0


def test_a_full_store_says_so_once_and_again_at_the_stop() -> None:
    client = Client(MemoryStore(room=10))
    client.ask(type="start", streamId="a")
    assert client.send(b"1234567890") == []
    (full,) = client.send(b"1")
    assert (full["type"], full["message"], full["streamId"]) == ("error", "it is full", "a")
    assert client.send(b"2") == []
    assert client.ask(type="stop", streamId="a")["type"] == "error"
    assert client.ask(type="stop", streamId="a")["type"] == "error"
    client.upload("a", b"small")
    assert client.store.files == {"a": b"small"}


def test_uploads_that_are_begun_are_counted() -> None:
    client = Client()
    for n in range(MAX_UPLOADS):
        assert client.ask(type="start", streamId=f"s{n}")["type"] == "started"
    assert client.ask(type="start", streamId="one-more")["type"] == "error"
    assert client.ask(type="stop", streamId="s0")["type"] == "stopped"
    assert client.ask(type="start", streamId="one-more")["type"] == "started"


def test_listing() -> None:
    client = Client()
    assert client.ask(type="list") == {"type": "listed", "streams": []}
    client.upload("a", DATA)
    digest = hashlib.sha256(DATA).hexdigest()
    assert client.ask(type="list") == {
        "type": "listed",
        "streams": [{"id": "a", "size": len(DATA), "sha256": digest, "time": 1.5}],
    }


def test_answers_come_in_the_order_of_the_questions_and_only_when_there_is_room() -> None:
    client = Client()
    client.upload("a", DATA)
    for _ in range(2 * MAX_WAITING):
        client.connection.text('{"type":"get","streamId":"a","offset":0,"length":65536}')
        client.connection.text("nonsense")
    assert client.connection.paused
    first = client.connection.to_send()
    size = sum(map(len, first))
    assert SENT_AT_ONCE_BYTES <= size <= SENT_AT_ONCE_BYTES + 65536
    assert client.connection.paused
    rest = client.answers()
    kinds = [isinstance(each, bytes) for each in [*first, *rest]]
    assert kinds == [True, False] * 2 * MAX_WAITING
    assert not client.connection.paused


def test_a_download_goes_on_with_its_file_and_a_new_one_begins_with_the_new() -> None:
    client = Client()
    client.upload("a", b"old file")
    assert client.ask(type="get", streamId="a", offset=0, length=4) == b"old "
    client.store.files["a"] = b"new file"
    assert client.ask(type="get", streamId="a", offset=4, length=4) == b"file"
    assert client.ask(type="get", streamId="a", offset=0, length=4) == b"new "
    del client.store.files["a"]
    assert client.ask(type="get", streamId="a", offset=4, length=4) == b"file"
    assert client.ask(type="get", streamId="a", offset=0, length=4)["type"] == "error"


@given(st.lists(st.text() | st.binary(), max_size=20))
def test_whatever_comes_is_answered_and_nothing_breaks(frames: list[str | bytes]) -> None:
    client = Client()
    for frame in frames:
        if isinstance(frame, str):
            client.connection.text(frame)
            assert client.answer()["type"].lower() == "error"
        else:
            assert [each["type"] for each in client.send(frame)] == ["error"]
