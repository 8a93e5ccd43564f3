from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from echowarp.config.password import read_password
from echowarp.errors import ConfigError


@pytest.mark.parametrize(
    ("content", "password"),
    [
        (b"secret", "secret"),
        (b"secret\nnot this\n", "secret"),
        (b"secret\r\n", "secret"),
        (b" spaces stay \n", " spaces stay "),
        ("\ufeffпароль\n".encode(), "пароль"),
        (b"a\rb\n", "a\rb"),
        (b"fine\n\xff\xff", "fine"),
    ],
)
def test_first_line(tmp_path: Path, content: bytes, password: str) -> None:
    (tmp_path / "p").write_bytes(content)
    assert read_password(str(tmp_path / "p")) == password
    assert read_password("-", io.BytesIO(content)) == password


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\nx", b"\xff\n", b"a\0b\n", b"x" * 8192])
def test_no_password(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_password(str(path))
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="standard input"):
        read_password("-", io.BytesIO(content))


def test_unreadable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_password(str(tmp_path / "p"))
    with pytest.raises(ConfigError, match=r"cannot read|is a directory"):
        read_password(str(tmp_path))


def test_standard_input_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ConfigError, match="closed"):
        read_password("-")
