"""When a client sends a PROBE.

Source: protocol 1, section 5: at once, every 200 ms until UDP_OK, then every
10 s, and after any second without audio.
"""

from __future__ import annotations

NS_PER_MS = 1_000_000
KNOCK_NS = 200 * NS_PER_MS
KEEP_OPEN_NS = 10_000 * NS_PER_MS
"""Short enough for the NAT mappings of home routers."""
MISSING_NS = 1_000 * NS_PER_MS
"""A second without audio may mean that our address has changed."""


class Prober:
    """Decides; sealing and sending are the caller's."""

    def __init__(self, now_ns: int) -> None:
        self._due_ns = now_ns
        self._heard = False

    @property
    def heard(self) -> bool:
        """Whether the server has said that our datagrams arrive."""
        return self._heard

    def udp_ok(self, now_ns: int) -> None:
        """The server has heard us."""
        if not self._heard:
            self._heard = True
            self._due_ns = now_ns + MISSING_NS

    def timeout_ns(self) -> int:
        """When `due` wants to be asked."""
        return self._due_ns

    def due(self, now_ns: int, *, audio_ns: int | None, probed_ns: int | None) -> bool:
        """Whether a PROBE goes out now.

        audio_ns: when audio last came; probed_ns: when the last PROBE went out.
        """
        if now_ns < self._due_ns:
            return False
        if not self._heard:
            self._due_ns = now_ns + KNOCK_NS
            return True
        quiet_ns = now_ns if audio_ns is None else audio_ns + MISSING_NS
        stale_ns = now_ns if probed_ns is None else probed_ns + KEEP_OPEN_NS
        wanted_ns = min(quiet_ns, stale_ns)
        sends = now_ns >= wanted_ns
        self._due_ns = now_ns + MISSING_NS if sends else wanted_ns
        return sends
