"""The certificate of the web door: the user's own, or one that is made and kept."""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
import socket
import ssl
import stat
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from echowarp.config.settings import Settings
from echowarp.crypto.certificate import CertificateFacts, make_certificate, read_certificate
from echowarp.errors import ConfigError

log = logging.getLogger(__name__)

VALID = datetime.timedelta(days=820)
"""Some systems take none that is valid for longer than 825 days."""
RENEW = datetime.timedelta(days=30)
NAME = "web-certificate.pem"
OWNER_ONLY = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class WebCertificate:
    """Where certificate and key are (PEM), and what the certificate says. is_own: the
    program has made it."""

    certificate: str
    key: str | None
    facts: CertificateFacts
    is_own: bool

    def context(self) -> ssl.SSLContext:
        """What the server's end of TLS is made with. Raises ConfigError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # It would cost us more than who asks for it.
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        try:
            # A key with a passphrase would ask for it on the terminal.
            context.load_cert_chain(self.certificate, self.key, password=_no_passphrase)
        except (OSError, ValueError) as error:
            raise ConfigError(_load_problem(self.certificate, self.key, error)) from error
        return context


class Renewals:
    """Notices that files of the user's own have changed, as they do every few months, and
    servers run for longer. certificate: what is in use."""

    def __init__(self, certificate: WebCertificate) -> None:
        self._certificate = certificate
        self._stamps = self._look()

    def look(self) -> ssl.SSLContext | None:
        """What TLS is made with from now on; None while that is what it was."""
        stamps = self._look()
        if stamps == self._stamps:
            return None
        self._stamps = stamps
        try:
            facts = _read(self._certificate.certificate, "--web_cert ")
            context = self._certificate.context()
        except ConfigError as error:
            log.warning("%s; the certificate from before stays in use", error)
            return None
        log.info("the web port's certificate is another now: SHA-256 %s", facts.fingerprint)
        return context

    def _look(self) -> list[tuple[int, int]]:
        """When which files were written."""
        if self._certificate.is_own:
            return []
        stamps = []
        for path in (self._certificate.certificate, self._certificate.key):
            with contextlib.suppress(OSError):
                found = os.stat(path) if path is not None else None
                stamps += [] if found is None else [(found.st_ino, found.st_mtime_ns)]
        return stamps


def _no_passphrase() -> str:
    raise ValueError("the key is protected by a passphrase: give one without")


def _load_problem(certificate: str, key: str | None, error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        if "MISMATCH" in str(error):
            return f"--web_cert {certificate}: the key is not that of the certificate"
        if "TOO_SMALL" in str(error) or "TOO_WEAK" in str(error):
            return f"--web_cert {certificate}: its key or its signature is too weak"
        # That there is a certificate in it was seen before.
        if key is None:
            return f"--web_cert {certificate}: it has no private key (PEM): give that as --web_key"
        return f"--web_key {key}: there is no private key (PEM) in it"
    if isinstance(error, OSError):
        where = f"--web_key {key}" if key and not os.access(key, os.R_OK) else None
        return f"{where or f'--web_cert {certificate}'}: {error.strerror}"
    return f"--web_key {key or certificate}: {error}"


def find_certificate(settings: Settings) -> WebCertificate:
    """The user's, else the one that was made before, else a new one. Raises ConfigError."""
    if settings.web_cert is not None:
        found = WebCertificate(
            certificate=settings.web_cert,
            key=settings.web_key,
            facts=_read(settings.web_cert, "--web_cert "),
            is_own=False,
        )
    else:
        path = data_folder() / NAME
        if not _is_good(path):
            _make(path)
        _keep_from_others(path)
        found = WebCertificate(
            certificate=str(path), key=None, facts=_read(str(path), ""), is_own=True
        )
    found.context()
    return found


def _read(path: str, option: str) -> CertificateFacts:
    try:
        return read_certificate(Path(path).read_bytes())
    except OSError as error:
        raise ConfigError(f"{option}{path}: {error.strerror}") from error
    except ConfigError as error:
        raise ConfigError(f"{option}{path}: {error}") from error


def data_folder() -> Path:
    """Where this user's programs keep what they want to find again."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "echowarp"
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support/echowarp"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "echowarp"


def _is_good(path: Path) -> bool:
    """Whether the one that was made can go on to be used."""
    try:
        facts = read_certificate(path.read_bytes())
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except ConfigError as error:
        log.warning("%s: %s; it is made anew", path, error)
        return False
    now, ends = datetime.datetime.now(datetime.timezone.utc), facts.not_after
    if ends.tzinfo is None:
        ends = ends.replace(tzinfo=datetime.timezone.utc)
    if ends - now < RENEW:
        log.warning("%s is about to expire and is made anew: its fingerprint changes", path)
        return False
    return True


def _keep_from_others(path: Path) -> None:
    """Makes sure that the key is its owner's alone, as it was made."""
    if sys.platform == "win32":
        return
    try:
        if stat.S_IMODE(path.stat().st_mode) & ~OWNER_ONLY:
            path.chmod(OWNER_ONLY)
            log.warning("%s could be read by others, who may have its key: no longer", path)
    except OSError as error:
        raise ConfigError(
            f"{path}: others may read its key, and that cannot be changed: {error.strerror}"
        ) from error


def _make(path: Path) -> None:
    now = datetime.datetime.now(datetime.timezone.utc)
    made = make_certificate(
        own_hosts(),
        # Clocks of the machines that look at it may be behind.
        not_before=now - datetime.timedelta(days=1),
        not_after=now + VALID,
        random_bytes=os.urandom,
    )
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Such a file is readable by its owner alone from its first moment.
        handle, temporary = tempfile.mkstemp(prefix=NAME + ".", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(made.key + made.certificate)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        raise ConfigError(
            f"{path}: the certificate for the web port cannot be kept: {error.strerror}; "
            "give one of your own with --web_cert"
        ) from error
    log.info("a certificate for the web port was made: %s", path)


def own_hosts() -> list[str]:
    """The names and addresses that this machine goes by, as far as it knows them."""
    name = socket.gethostname().lower()
    hosts = ["localhost", name, f"{name.partition('.')[0]}.local", "127.0.0.1", "::1"]
    for family, towards in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        # Nothing is sent: a route is looked up, whose address is the one that others see.
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((towards, 9))
                hosts.append(str(probe.getsockname()[0]))
        except OSError:
            continue
    return list(dict.fromkeys(host.partition("%")[0] for host in hosts))


def shown_host(bind: str | None) -> str:
    """What people may call this machine in a URL, seen from where it is bound to."""
    if bind is not None:
        return f"[{bind}]" if ":" in bind and not bind.startswith("[") else bind
    addresses = [host for host in own_hosts() if host.replace(".", "").isdigit()]
    others = [host for host in addresses if not host.startswith("127.")]
    return others[0] if others else "localhost"
