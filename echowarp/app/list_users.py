"""`--list_users`: who is at a server."""

from __future__ import annotations

import os
import time

from echowarp.app.talk_words import DENIED, described
from echowarp.app.words import client_words
from echowarp.config.settings import Settings
from echowarp.crypto.password import encode_password
from echowarp.errors import ConnectError, RefusedError
from echowarp.net.client_link import TcpLink, connect
from echowarp.net.waker import Waker
from echowarp.session.client_session import ClientSession, Ended, Started
from echowarp.session.company import Company
from echowarp.session.company_events import Refused
from echowarp.session.endpoint import Received
from echowarp.session.reconnect import FINAL_CODES
from echowarp.wire.codes import Code
from echowarp.wire.people import NO_TOKEN, Enter, Listed, PeopleRecord
from echowarp.wire.people_codes import Presence, Wish

PATIENCE_NS = 5_000_000_000
"""A server without talkers may not answer at all."""


def list_users(settings: Settings) -> list[str]:
    """Everybody at the server, a line each. Raises RefusedError and ConnectError."""
    assert settings.server_address is not None
    prs = encode_password(settings.password)
    link = TcpLink(connect(settings.server_address, settings.udp_port), Waker())
    session = ClientSession(prs=prs, random_bytes=os.urandom, now_ns=time.monotonic_ns())
    try:
        return _ask(session, link, settings.socket_buffer_size)
    finally:
        session.close(time.monotonic_ns())
        link.send(session.to_send())
        link.close()


def _ask(session: ClientSession, link: TcpLink, read_bytes: int) -> list[str]:
    company, asked_ns = Company(name=""), None
    while True:
        due_ns = session.timeout_ns() or time.monotonic_ns()
        data = link.wait(due_ns if asked_ns is None else min(due_ns, asked_ns), read_bytes)
        now_ns = time.monotonic_ns()
        if data:
            session.receive(data, now_ns)
        elif data is not None:
            session.receive_eof(now_ns)
        session.handle_timeout(now_ns)
        for event in session.events():
            if isinstance(event, Started):
                asked_ns = now_ns + PATIENCE_NS
                wish = Enter(
                    wish=Wish.LIST, presence=Presence(0), resume=NO_TOKEN, name="", target=""
                )
                session.send(wish, now_ns)
            elif isinstance(event, Ended):
                _fail(event)
            elif isinstance(event, Received) and isinstance(event.record, PeopleRecord):
                company.receive(event.record)
                if isinstance(event.record, Listed):
                    return sorted(described(each) for each in company.users.values())
        for told in company.events():
            if isinstance(told, Refused):
                raise RefusedError(DENIED[told.reason])
        if asked_ns is not None and now_ns >= asked_ns:
            raise ConnectError("the server does not say who is there")
        link.send(session.to_send())


def _fail(ended: Ended) -> None:
    words = client_words(ended.code, ended.detail) if ended.by_peer else ended.detail
    final = ended.code in FINAL_CODES or ended.code == Code.FULL
    raise (RefusedError if final else ConnectError)(words)
