from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from echowarp.config.files import MAX_FILE_BYTES, read_text, write_text
from echowarp.errors import ConfigError


def test_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfx\r\n")
    assert read_text(str(tmp_path / "a")) == "x\r\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"ok\n\xff\n", "line 2"),
        ("[echowarp_conf]".encode("utf-16"), "line 1"),
        (b"a\0b", "not text"),
        (b"x" * (MAX_FILE_BYTES + 1), "too long"),
    ],
)
def test_not_text(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=words) as caught:
        read_text(str(path))
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_text(str(tmp_path / "a"))
    with pytest.raises(ConfigError, match="cannot read"):
        read_text(str(tmp_path))


def test_write_is_private_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old and longer")
    path.chmod(0o644)
    write_text(str(path), "new ü")
    assert path.read_bytes() == "new ü".encode()
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_write_into_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_text("a", "x")
    assert (tmp_path / "a").read_text() == "x"


def test_failure_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        write_text(str(path), "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot write"):
        write_text(str(tmp_path / "no" / "a"), "x")
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(ConfigError, match="cannot write"):
        write_text(str(folder), "x")
    with pytest.raises(ConfigError, match="not Unicode"):
        write_text(str(tmp_path / "a"), "\udcff")
    assert list(tmp_path.iterdir()) == [folder]
