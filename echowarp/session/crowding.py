"""Which unfinished handshake gives way when there are too many.

Source: protocol 1, section 6.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from echowarp.session.address import network_of
from echowarp.session.server_connection import ServerConnection, State
from echowarp.wire.codes import Code

MAX_UNFINISHED = 32
MAX_UNFINISHED_PER_ADDRESS = 16


def make_room(unfinished: Sequence[ServerConnection], host: str, now_ns: int) -> bool:
    """Whether another handshake may begin; where there are too many the oldest is closed
    for it. A wrong guess that waits for its answer keeps its place, so it slows the next one.

    unfinished: the handshakes under way, oldest first; host: whose the other is.
    """
    by_network = Counter(network_of(each.host) for each in unfinished)
    own = network_of(host)
    if by_network[own] >= MAX_UNFINISHED_PER_ADDRESS:
        crowded = own
    elif len(unfinished) >= MAX_UNFINISHED:
        crowded = by_network.most_common(1)[0][0]
    else:
        return True
    for oldest in unfinished:
        if oldest.state is not State.REFUSING and network_of(oldest.host) == crowded:
            oldest.close(Code.TOO_MANY, "made room for a newer handshake", now_ns)
            return True
    return False
