from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.errors import ProtocolError, RefusedError
from echowarp.session.cache_client import MAX_ASKED, Download, Listing, Task, Upload
from echowarp.session.file_cache import CacheConnection
from tests.cache_server import Connection, Foreign
from tests.session.test_file_cache import MemoryStore

DATA = bytes(range(256)) * 2000
SIZES = (0, 1, 8191, 8192, 8193, 65535, 65536, 65537, 500_000)


def run(task: Task, server: Connection, watch: Callable[[], None] = lambda: None) -> None:
    """Carries frames to and fro until the task is done."""
    for _ in range(100_000):
        if task.done:
            return
        frames = task.to_send()
        for frame in frames:
            (server.text if isinstance(frame, str) else server.binary)(frame)  # type: ignore[arg-type]
        answers = server.to_send()
        for answer in answers:
            (task.text if isinstance(answer, str) else task.binary)(answer)  # type: ignore[arg-type]
        watch()
        assert frames or answers, "nobody moves"
    raise AssertionError("it takes for ever")


def chunks(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 8192] for at in range(0, len(data), 8192))


def fetch(server: Connection, **changes: Any) -> tuple[bytes, Download]:
    kinds: dict[str, Any] = {"size": None} | changes
    task, found = Download("a", **kinds), []
    run(task, server, lambda: found.extend(task.pieces()))
    return b"".join(found), task


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("foreign", [False, True])
def test_there_and_back(size: int, foreign: bool) -> None:
    files: dict[str, bytes] = {}
    store = MemoryStore()
    server = Foreign(files) if foreign else CacheConnection(store)
    upload = Upload("a", chunks(DATA[:size]))
    run(upload, server)
    assert (files if foreign else store.files) == {"a": DATA[:size]}
    assert upload.sent_bytes == size
    found, _ = fetch(server, size=size)
    assert found == DATA[:size]


@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize("at_most", [1000, 4096, 8191, 8192, 10_000, 65536])
@pytest.mark.parametrize("empty_end", [False, True])
@pytest.mark.parametrize("knows", [False, True])
def test_whatever_a_server_gives_at_once(
    size: int, at_most: int, empty_end: bool, knows: bool
) -> None:
    server = Foreign({"a": DATA[:size]}, at_most=at_most, empty_end=empty_end)
    found, task = fetch(server, size=size if knows else None)
    assert found == DATA[:size]
    assert (task.end_words is None) is knows


def test_answers_of_changing_length() -> None:
    class Moody(Foreign):
        def _get(self, asked: Any) -> None:
            self._at_most = self._at_most * 7 % 70_001 + 1
            super()._get(asked)

    assert fetch(Moody({"a": DATA}), size=None)[0] == DATA
    assert fetch(Moody({"a": DATA}), size=len(DATA))[0] == DATA


@given(st.integers(0, 3000), st.integers(0, 3000), st.integers(1, 3000), st.booleans())
def test_going_on_from_anywhere(size: int, offset: int, at_most: int, knows: bool) -> None:
    offset = min(offset, size)
    server = Foreign({"a": DATA[:size]}, at_most=at_most)
    if size or knows:
        found, task = fetch(server, offset=offset, size=size if knows else None)
        assert (found, task.position) == (DATA[offset:size], size)


def asked_at_most(at_most: int, **changes: Any) -> tuple[int, int]:
    """The most gets that were open at once, and how many there were."""
    most = total = 0

    class Counting(Foreign):
        def to_send(self) -> list[str | bytes]:
            nonlocal most, total
            frames = super().to_send()
            most, total = max(most, len(frames)), total + len(frames)
            return frames

    size = len(DATA)
    found, _ = fetch(Counting({"a": DATA}, at_most=at_most), size=size, **changes)
    assert found == DATA
    return most, total


def test_it_asks_ahead_and_throws_nothing_away() -> None:
    assert asked_at_most(65536) == (5, 8)  # 1, 2, and then the rest
    most, total = asked_at_most(8192)
    assert 16 < most <= MAX_ASKED and total == 63
    assert asked_at_most(8192, max_asked=1) == (1, 63)


def test_frames_ask_in_capitals_for_64_kib() -> None:
    (frame,) = Download("a", size=None).to_send()
    assert isinstance(frame, str)
    assert json.loads(frame) == {"type": "GET", "streamId": "a", "offset": 0, "length": 65536}
    assert Listing().to_send() == ['{"type":"LIST"}']


@pytest.mark.parametrize("spelled", [str.lower, str.upper, str.capitalize])
def test_answers_are_read_in_any_case(spelled: Callable[[str], str]) -> None:
    upload = Upload("a", chunks(b"x"))
    upload.to_send()
    upload.text(json.dumps({"type": spelled("started")}))
    assert upload.to_send()[0] == b"x"
    upload.text(json.dumps({"type": spelled("stopped")}))
    assert upload.done


def test_chunks_wait_for_the_start_and_come_in_batches() -> None:
    upload = Upload("a", chunks(DATA))
    assert len(upload.to_send()) == 1 and upload.to_send() == []
    upload.text('{"type":"started"}')
    batches = [upload.to_send(), upload.to_send()]
    assert [len(batch) for batch in batches] == [32, 32]
    assert isinstance(batches[1][-1], str) and "STOP" in batches[1][-1]
    assert upload.to_send() == []
    assert not upload.done


def test_a_server_that_does_not_take_it() -> None:
    upload = Upload("a", chunks(DATA))
    upload.to_send()
    with pytest.raises(RefusedError, match="a is not taken: the server says: no room"):
        upload.text('{"type":"ERROR","message":"no\\nroom"}')


def test_a_file_that_cannot_be_had() -> None:
    with pytest.raises(RefusedError, match="cannot be had, or is empty"):
        fetch(CacheConnection(MemoryStore()))


def test_an_end_before_the_end() -> None:
    with pytest.raises(RefusedError, match="ends at 100 of 101 bytes"):
        fetch(Foreign({"a": DATA[:100]}), size=101)
    with pytest.raises(RefusedError, match="ends at 100 of 101 bytes"):
        fetch(Foreign({"a": DATA[:100]}, empty_end=True), size=101)


@pytest.mark.parametrize(
    "task",
    [
        Listing,
        lambda: Upload("a", chunks(DATA)),
        lambda: Download("a", size=5),
    ],
)
@pytest.mark.parametrize("frame", ["[", "{}", '{"type":"sing"}', b"123456" * 20_000])
def test_nonsense_is_the_servers(task: Callable[[], Task], frame: str | bytes) -> None:
    made = task()
    made.to_send()
    with pytest.raises(ProtocolError):
        (made.text if isinstance(frame, str) else made.binary)(frame)  # type: ignore[arg-type]


def test_bytes_that_nobody_asked_for() -> None:
    with pytest.raises(ProtocolError):
        Download("a", size=5).binary(b"x")


def test_a_listing() -> None:
    store = MemoryStore()
    store.files["a"] = DATA
    listing = Listing()
    run(listing, CacheConnection(store))
    assert listing.entries is not None
    assert [(e.id, e.size, e.sha256) for e in listing.entries] == [
        ("a", len(DATA), hashlib.sha256(DATA).hexdigest())
    ]
    listing = Listing()
    run(listing, Foreign({}))
    assert listing.entries is None


@pytest.mark.parametrize(
    "streams",
    [
        None,
        {},
        [3],
        [{}],
        [{"id": "../x", "size": 1, "sha256": "0" * 64, "time": 1}],
        [{"id": "x", "size": -1, "sha256": "0" * 64, "time": 1}],
        [{"id": "x", "size": 1, "sha256": "0" * 63, "time": 1}],
        [{"id": "x", "size": 1, "sha256": "0" * 64, "time": "now"}],
    ],
)
def test_listings_that_are_nonsense(streams: Any) -> None:
    listing = Listing()
    listing.to_send()
    with pytest.raises(ProtocolError):
        listing.text(json.dumps({"type": "listed", "streams": streams}))


def test_a_download_that_is_stopped_awaits_what_is_on_its_way() -> None:
    task = Download("a", size=len(DATA))
    server = Foreign({"a": DATA}, at_most=65536)
    run_once = [frame for frame in task.to_send() if isinstance(frame, str)]
    server.text(run_once[0])
    task.stop()
    assert not task.done
    run(task, server)
    assert task.done and task.pieces() == []
