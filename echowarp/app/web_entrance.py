"""What a web door needs before it opens: its port and its certificate."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from echowarp.app.web_certificate import WebCertificate, find_certificate, shown_host
from echowarp.config.settings import Settings
from echowarp.net.sockets import open_web_sockets


@dataclass(frozen=True, slots=True, kw_only=True)
class WebEntrance:
    """What a door needs that can fail before the server runs. source: what its sound is
    called, None without any."""

    sockets: tuple[socket.socket, ...]
    certificate: WebCertificate
    source: str | None

    @classmethod
    def open(cls, settings: Settings, source: str | None) -> WebEntrance:
        """Finds the certificate and binds the port. Raises ConfigError."""
        assert settings.web_port is not None
        certificate = find_certificate(settings)
        sockets = open_web_sockets(settings.bind, settings.web_port)
        return cls(sockets=sockets, certificate=certificate, source=source)

    def url(self, settings: Settings) -> str:
        """Where people find the page. Browsers play nothing that came in the open, but on
        the machine itself."""
        host = shown_host(settings.bind)
        is_local = host in ("localhost", "[::1]") or host.startswith("127.")
        scheme = "http" if is_local and settings.password is None else "https"
        return f"{scheme}://{host}:{settings.web_port}/"

    def close(self) -> None:
        """Closes the sockets."""
        for each in self.sockets:
            each.close()
