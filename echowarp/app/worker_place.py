"""A worker as the engine sees it: what it was told, what it tells, whether it keeps up."""

from __future__ import annotations

from echowarp.app.child_process import ChildProcess
from echowarp.app.process_link import pack
from echowarp.app.sender import Counters
from echowarp.app.worker import Begin, Mark
from echowarp.media.format import NS_PER_S

MARK_EVERY_NS = NS_PER_S // 4
MAX_BEHIND_NS = NS_PER_S
"""A worker that takes longer to come to a mark stands still, or has too much to do."""
MAX_WAITING_BYTES = 1 << 22
"""Orders that a worker has not taken."""

_MARK = pack(Mark())


class WorkerPlace:
    """A worker's place, in which one process follows another."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: ChildProcess | None = None
        self.is_ready = False
        self.connections: set[int] = set()
        self.counters = Counters()
        self.marked_ns: int | None = None
        """Since when a mark is on its way, None when none is."""
        self._failed = False
        self._mark_due_ns = 0
        self._waiting = bytearray()

    @property
    def is_doubtful(self) -> bool:
        """Whether a listener is better off with another."""
        return self.process is None or self._failed

    def give(self, frame: bytes, *, in_hurry: bool = True) -> None:
        """Passes an order on, now or with the next one."""
        self._waiting += frame
        if in_hurry and self.is_ready and self.process is not None:
            try:
                del self._waiting[: self.process.link.send(self._waiting)]
            except BlockingIOError:
                return
            except OSError:
                # That it has ended is noticed where its news are read.
                self._waiting.clear()

    def begin(self, begin: Begin) -> None:
        """It is ready: tells it where the stream is, and then all that had to wait."""
        self.is_ready, self._failed = True, False
        self._waiting[:0] = pack(begin)
        self.give(b"")

    def mark(self, now_ns: int, *, anew: bool) -> None:
        """Sends a mark with the next order when one is due; anew: one that is on its way
        is as if it were sent now."""
        if self.marked_ns is None and now_ns >= self._mark_due_ns:
            self._mark_due_ns = now_ns + MARK_EVERY_NS
            self.marked_ns = now_ns
            self.give(_MARK, in_hurry=False)
        elif anew:
            self.excuse(now_ns)

    def excuse(self, now_ns: int) -> None:
        """It is not to blame that it has not answered yet."""
        if self.marked_ns is not None:
            self.marked_ns = now_ns

    def is_stuck(self, now_ns: int) -> bool:
        """Whether it does not keep up."""
        is_behind = self.marked_ns is not None and now_ns - self.marked_ns > MAX_BEHIND_NS
        return is_behind or len(self._waiting) > MAX_WAITING_BYTES

    def forget(self) -> None:
        """The process is no more, and with it all that it was told."""
        self._failed = not self.is_ready
        self.process, self.is_ready, self.marked_ns = None, False, None
        self.counters = Counters()
        self.connections.clear()
        self._waiting.clear()
