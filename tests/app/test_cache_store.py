from __future__ import annotations

import errno
import hashlib
import os
import resource
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from echowarp.app.cache_folder import cached_path, default_cache_dir
from echowarp.app.cache_store import CacheStore
from echowarp.errors import ConfigError, StorageError
from echowarp.wire.file_cache import Entry

DATA = os.urandom(100_000)


class Clock:
    def __init__(self) -> None:
        self.s = 1_000_000.0

    def __call__(self) -> float:
        return self.s


class Shelf:
    """Stores in one folder, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.stores: list[CacheStore] = []

    def open(self, **changes: Any) -> CacheStore:
        kinds: dict[str, Any] = {"max_bytes": None, "ttl_s": None} | changes
        self.close()
        store = CacheStore(str(self.folder), now_s=self.clock, **kinds)
        self.stores.append(store)
        return store

    def close(self) -> None:
        for store in self.stores:
            store.close()

    def names(self) -> list[str]:
        return sorted(each.name for each in self.folder.iterdir() if each.name != "lock")


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf(tmp_path / "some" / "cache")
    yield made
    made.close()


def put(store: CacheStore, name: str, data: bytes = DATA) -> Entry:
    upload = store.begin(name)
    for at in range(0, len(data), 8192):
        upload.write(data[at : at + 8192])
    return upload.finish()


def get(store: CacheStore, name: str) -> bytes | None:
    reader = store.open(name)
    if reader is None:
        return None
    try:
        return b"".join(
            reader.read(at, min(7000, reader.size)) for at in range(0, reader.size, 7000)
        )
    finally:
        reader.close()


def ids(store: CacheStore) -> set[str]:
    return {entry.id for entry in store.list()}


@pytest.mark.parametrize("size", [0, 1, 8191, 8192, 8193, 65536, 100_000])
def test_what_is_kept_is_there_also_after_a_restart(shelf: Shelf, size: int) -> None:
    data = DATA[:size]
    entry = put(shelf.open(), "a", data)
    digest = hashlib.sha256(data).hexdigest()
    assert entry == Entry(id="a", size=size, sha256=digest, time_s=shelf.clock.s)
    store = shelf.open()
    assert store.list() == [entry]
    assert get(store, "a") == data
    assert Path(cached_path(str(shelf.folder), "a")).read_bytes() == data


def test_ids_that_some_file_systems_would_mix_up(shelf: Shelf) -> None:
    store = shelf.open()
    names = ["a", "A", "con", "CON", "a.", "lock", "x" * 128, "x" * 127 + "X"]
    for name in names:
        put(store, name, name.encode())
    store = shelf.open()
    assert {name: get(store, name) for name in names} == {name: name.encode() for name in names}


def test_nothing_but_the_owner_reads_it(shelf: Shelf) -> None:
    put(shelf.open(), "a")
    modes = [each.stat().st_mode & 0o077 for each in shelf.folder.iterdir()]
    assert shelf.folder.stat().st_mode & 0o077 == 0
    assert [mode for name, mode in zip(shelf.folder.iterdir(), modes, strict=True)
            if name.name != "lock"] == [0, 0]  # fmt: skip


def test_an_id_that_exists_or_is_coming_is_refused(shelf: Shelf) -> None:
    store = shelf.open()
    put(store, "a")
    with pytest.raises(StorageError, match="exists"):
        store.begin("a")
    upload = store.begin("b")
    with pytest.raises(StorageError, match="being uploaded"):
        store.begin("b")
    upload.abandon()
    upload.abandon()
    put(store, "b")
    assert ids(store) == {"a", "b"}


def test_an_upload_is_absent_until_it_is_finished_and_leaves_nothing(shelf: Shelf) -> None:
    store = shelf.open()
    upload = store.begin("a")
    upload.write(DATA)
    assert store.open("a") is None and store.list() == []
    upload.abandon()
    assert shelf.names() == []
    upload = store.begin("a")
    upload.write(DATA)
    upload.finish()
    upload.abandon()
    assert get(store, "a") == DATA


def test_leftovers_are_removed_and_whole_files_kept(shelf: Shelf) -> None:
    store = shelf.open()
    put(store, "whole")
    store.begin("begun").write(DATA)
    names = set(shelf.names())
    for name in ("no-data", "no-facts", "short", "garbled", "another"):
        put(store, name)
    data = {name: Path(cached_path(str(shelf.folder), name)) for name in ids(store)}
    data["no-data"].unlink()
    data["no-facts"].with_suffix(".json").unlink()
    with data["short"].open("ab") as file:
        file.truncate(5)
    data["garbled"].with_suffix(".json").write_bytes(b"\xff{")
    facts = data["whole"].with_suffix(".json").read_bytes()
    data["another"].with_suffix(".json").write_bytes(facts)
    foreign = shelf.folder / "notes.json"
    foreign.write_text("mine")
    store = shelf.open()
    assert ids(store) == {"whole"}
    assert set(shelf.names()) == {name for name in names if "upload" not in name} | {foreign.name}


@pytest.mark.parametrize("step", range(4))
def test_a_crash_while_a_file_is_put_in_place(
    shelf: Shelf, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Power that fails between any two steps leaves the file absent or whole."""

    class PowerCut(BaseException):
        pass

    store = shelf.open()
    upload = store.begin("a")
    upload.write(DATA)
    calls = 0

    def failing(real: Any) -> Any:
        def call(*arguments: Any) -> Any:
            nonlocal calls
            if calls == step:
                raise PowerCut
            calls += 1
            return real(*arguments)

        return call

    monkeypatch.setattr(os, "replace", failing(os.replace))
    monkeypatch.setattr(os, "fsync", failing(os.fsync))
    with pytest.raises(PowerCut):
        upload.finish()
    monkeypatch.undo()
    store = shelf.open()
    assert get(store, "a") is None
    assert shelf.names() == []


def test_the_least_recently_used_goes_first(shelf: Shelf) -> None:
    store = shelf.open(max_bytes=300)
    for name in ("a", "b", "c"):
        put(store, name, DATA[:100])
    assert get(store, "a") is not None
    put(store, "d", DATA[:100])
    assert ids(store) == {"a", "c", "d"}
    put(store, "big", DATA[:250])
    assert ids(store) == {"big"}
    assert store.bytes_kept == 250
    assert len(shelf.names()) == 2


def test_the_order_of_use_outlives_a_restart(shelf: Shelf) -> None:
    store = shelf.open()
    for name in ("a", "b", "c"):
        put(store, name, DATA[:100])
        shelf.clock.s += 1
    get(store, "a")
    assert ids(shelf.open(max_bytes=200)) == {"c", "a"}


def test_more_than_the_cache_takes(shelf: Shelf) -> None:
    store = shelf.open(max_bytes=1000)
    upload = store.begin("a")
    upload.write(DATA[:1000])
    with pytest.raises(StorageError, match="takes 1000 bytes"):
        upload.write(b"x")
    assert shelf.names() == []
    put(store, "a", DATA[:1000])
    assert store.bytes_kept == 1000


def test_uploads_share_the_room(shelf: Shelf) -> None:
    store = shelf.open(max_bytes=1000)
    one, other = store.begin("one"), store.begin("other")
    one.write(DATA[:600])
    with pytest.raises(StorageError, match="no room"):
        other.write(DATA[:600])
    one.finish()
    assert ids(store) == {"one"}


def test_the_number_of_files_has_an_end(shelf: Shelf) -> None:
    store = shelf.open(max_files=3)
    for n in range(5):
        put(store, f"s{n}", b"")
    assert ids(store) == {"s2", "s3", "s4"}


def test_a_file_that_nobody_uses_goes(shelf: Shelf) -> None:
    store = shelf.open(ttl_s=10)
    put(store, "a")
    put(store, "b")
    shelf.clock.s += 9
    get(store, "b")
    assert ids(store) == {"a", "b"}
    shelf.clock.s += 1
    assert store.open("a") is None
    assert ids(store) == {"b"}
    shelf.clock.s += 8
    assert ids(shelf.open(ttl_s=10)) == {"b"}
    shelf.clock.s += 1
    assert ids(shelf.open(ttl_s=10)) == set()


def test_a_file_given_up_while_it_is_read_stays_readable(shelf: Shelf) -> None:
    store = shelf.open(max_bytes=len(DATA))
    put(store, "a")
    reader = store.open("a")
    assert reader is not None
    first = reader.read(0, 50_000)
    put(store, "b", b"!" * len(DATA))
    assert ids(store) == {"b"}
    assert first + reader.read(50_000, 50_000) == DATA
    reader.close()
    reader.close()


def test_two_servers_do_not_share_a_folder(shelf: Shelf) -> None:
    shelf.open()
    with pytest.raises(ConfigError, match="another server"):
        CacheStore(str(shelf.folder), max_bytes=None, ttl_s=None, now_s=Clock())


def test_a_folder_that_cannot_be_had(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be used"):
        CacheStore(str(tmp_path / "file"), max_bytes=None, ttl_s=None, now_s=Clock())


def test_a_full_disk(shelf: Shelf) -> None:
    """The limit on the size of files stands for a disk that takes no more."""
    store = shelf.open()
    put(store, "a", DATA)
    upload = store.begin("b")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, hard))
    try:
        with pytest.raises(StorageError, match="disk"):
            for _ in range(100):
                upload.write(DATA[:8192])
            upload.finish()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    upload.abandon()
    assert ids(store) == {"a"} and len(shelf.names()) == 2
    put(store, "b")
    assert get(store, "b") == DATA


def test_a_file_that_was_cut_short_on_the_disk(shelf: Shelf) -> None:
    store = shelf.open()
    put(store, "a")
    os.truncate(cached_path(str(shelf.folder), "a"), 10)
    reader = store.open("a")
    assert reader is not None
    with pytest.raises(StorageError, match="cut short"):
        reader.read(50, 10)
    reader.close()


def test_a_folder_that_somebody_empties(shelf: Shelf) -> None:
    store = shelf.open(max_bytes=2 * len(DATA))
    put(store, "a")
    for name in shelf.names():
        (shelf.folder / name).unlink()
    assert store.list() == []
    assert store.bytes_kept == 0
    put(store, "b")
    put(store, "c")
    assert ids(store) == {"b", "c"}


def test_a_file_that_somebody_removes_can_be_uploaded_again(shelf: Shelf) -> None:
    store = shelf.open()
    for meet in (lambda: store.open("a"), store.list, lambda: None):
        put(store, "a")
        next(shelf.folder.glob("*.data")).unlink()
        assert not meet()
    put(store, "a", DATA[:10])
    assert get(store, "a") == DATA[:10]
    assert len(shelf.names()) == 2


def test_an_upload_on_a_disk_that_no_longer_takes_anything(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = shelf.open(max_bytes=len(DATA))
    upload = store.begin("a")
    upload.write(DATA)

    def fail(path: str) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as broken:
        broken.setattr("os.unlink", fail)
        upload.abandon()
    assert put(store, "a").size == len(DATA)


def test_a_clock_that_was_wrong_keeps_nothing_for_ever(shelf: Shelf) -> None:
    shelf.clock.s = 9_000_000.0
    put(shelf.open(), "a")
    shelf.clock.s = 1_000_000.0
    store = shelf.open(ttl_s=60.0)
    assert ids(store) == {"a"}
    shelf.clock.s += 61.0
    assert ids(store) == set()


def test_many_threads(shelf: Shelf) -> None:
    store = shelf.open(max_bytes=5 * len(DATA))
    failures: list[BaseException] = []

    def work(n: int) -> None:
        try:
            for turn in range(5):
                put(store, f"{n}-{turn}")
                reader = store.open(f"{n}-{turn}")
                if reader is not None:
                    assert reader.read(0, len(DATA)) == DATA
                    reader.close()
        except StorageError as error:
            if "no room" not in str(error):  # four at once fit, five may not
                failures.append(error)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert store.bytes_kept == sum(entry.size for entry in store.list()) <= 5 * len(DATA)


def test_no_path_leads_out_of_the_folder(shelf: Shelf) -> None:
    shelf.open()
    (shelf.folder.parent / "secret").write_text("x")
    for name in ("../secret", "..", "", "a/b", "lock"):
        with pytest.raises(ConfigError, match="there is no"):
            cached_path(str(shelf.folder), name)


def test_the_folder_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    monkeypatch.setattr("sys.platform", "linux")
    assert default_cache_dir() == "/somewhere/echowarp/files"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert default_cache_dir() == str(Path.home() / ".cache/echowarp/files")
