"""Pairs whose client is in a wanted state, and how it ended."""

from __future__ import annotations

from echowarp.crypto.record import RecordSealer
from echowarp.session.client_session import Ended, State
from echowarp.wire.records import Session
from tests.session.pair import Pair

SESSION = Session(suite=2, user=7, resume=bytes(16))


def in_state(state: State) -> Pair:
    """A pair whose client is in that state, with nothing waiting at the client."""
    pair = Pair()
    if state is State.AWAIT_REPLY:
        pair.down()
    elif state is State.AWAIT_ACCEPT:
        pair.to_confirm()
    elif state in (State.AWAIT_SESSION, State.RUNNING):
        pair.to_running()
    if state is State.RUNNING:
        pair.server.send(SESSION, pair.now_ns)
        pair.down()
    pair.client.to_send()
    assert pair.client.state is state
    return pair


def ended(pair: Pair) -> Ended:
    """How the client's connection ended; it must have, and have said so once."""
    pair.client_events += pair.client.events()
    (event,) = [event for event in pair.client_events if isinstance(event, Ended)]
    assert pair.client.state is State.CLOSED
    assert pair.client.timeout_ns() is None
    return event


def sealer_of(pair: Pair) -> RecordSealer:
    """The server's sealer, anew from its first record."""
    keys = pair.server_keys()
    assert keys is not None
    return RecordSealer(keys.control_server)
