"""The certificate of the web door: kept, made anew in time, or the user's own."""

from __future__ import annotations

import datetime
import os
import ssl
import stat
import sys
from pathlib import Path

import pytest

from echowarp.app import web_certificate
from echowarp.app.web_certificate import RENEW, Renewals, find_certificate, own_hosts, shown_host
from echowarp.config.settings import Settings
from echowarp.crypto.certificate import make_certificate, read_certificate
from echowarp.errors import ConfigError

NOW = datetime.datetime.now(datetime.timezone.utc)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where it is kept."""
    monkeypatch.setattr(web_certificate, "data_folder", lambda: tmp_path / "data")
    return tmp_path / "data" / web_certificate.NAME


def pem(days: float) -> tuple[bytes, bytes]:
    """A certificate that is valid for so long, and its key."""
    made = make_certificate(
        ["localhost"],
        not_before=NOW - datetime.timedelta(days=900),
        not_after=NOW + datetime.timedelta(days=days),
        random_bytes=os.urandom,
    )
    return made.certificate, made.key


def test_it_is_made_once(kept: Path) -> None:
    first, second = find_certificate(Settings()), find_certificate(Settings())
    assert first == second and first.is_own
    assert {"localhost", "127.0.0.1", "::1"} <= set(first.facts.hosts)
    if sys.platform != "win32":
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]
    assert first.context().minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.skipif(sys.platform == "win32", reason="files have no modes there")
def test_a_key_that_others_could_read_is_kept_from_them(
    kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    find_certificate(Settings())
    content = kept.read_bytes()
    kept.chmod(0o644)
    find_certificate(Settings())
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert kept.read_bytes() == content
    assert "could be read by others" in caplog.text


@pytest.mark.parametrize(("days", "stays"), [(RENEW.days + 1, True), (RENEW.days - 1, False)])
def test_it_is_made_anew_before_it_expires(kept: Path, days: float, stays: bool) -> None:
    kept.parent.mkdir()
    certificate, key = pem(days)
    kept.write_bytes(key + certificate)
    find_certificate(Settings())
    assert (kept.read_bytes() == key + certificate) is stays


def test_one_that_is_broken_is_made_anew(kept: Path) -> None:
    kept.parent.mkdir()
    kept.write_bytes(b"half")
    find_certificate(Settings()).context()


def test_a_folder_that_cannot_be_had(kept: Path) -> None:
    kept.parent.write_text("a file")
    with pytest.raises(ConfigError, match=r"web-certificate\.pem"):
        find_certificate(Settings())


def test_the_users_own(tmp_path: Path) -> None:
    certificate, key = pem(90)
    _, other = pem(90)
    both, alone, keys = (tmp_path / name for name in ("both.pem", "cert.pem", "key.pem"))
    both.write_bytes(certificate + key)
    alone.write_bytes(certificate)
    keys.write_bytes(key)
    assert not find_certificate(Settings(web_cert=str(both))).is_own
    find_certificate(Settings(web_cert=str(alone), web_key=str(keys)))
    keys.write_bytes(other)
    cases = [
        (Settings(web_cert=str(alone)), "no private key .*: give that as --web_key"),
        (Settings(web_cert=str(alone), web_key=str(alone)), "--web_key .*no private key"),
        (Settings(web_cert=str(alone), web_key=str(keys)), "not that of the certificate"),
        (Settings(web_cert=str(alone), web_key=str(tmp_path / "none")), "--web_key .*none"),
        (Settings(web_cert=str(tmp_path / "none")), "--web_cert .*none"),
    ]
    for settings, words in cases:
        with pytest.raises(ConfigError, match=words):
            find_certificate(settings)


def test_a_renewal_of_the_users_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is taken when both files are there; until then it goes on with the one before."""
    caplog.set_level("INFO")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    for path, content in zip((cert, key), pem(90), strict=True):
        path.write_bytes(content)
    renewals = Renewals(find_certificate(Settings(web_cert=str(cert), web_key=str(key))))
    assert renewals.look() is None
    new_cert, new_key = pem(90)
    cert.write_bytes(new_cert)
    assert renewals.look() is None
    assert "not that of the certificate; the certificate from before stays" in caplog.text
    assert renewals.look() is None
    key.unlink()
    assert renewals.look() is None
    key.write_bytes(new_key)
    assert renewals.look() is not None
    assert f"another now: SHA-256 {read_certificate(new_cert).fingerprint}" in caplog.text
    assert renewals.look() is None


def test_what_it_is_called() -> None:
    assert own_hosts()[0] == "localhost"
    assert shown_host("192.0.2.1") == "192.0.2.1"
    assert shown_host("::1") == "[::1]"
    assert not shown_host(None).startswith("127.")
