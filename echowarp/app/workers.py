"""Shares a server's listeners among worker processes.

A listener belongs to one worker, which alone has its key and numbers. One that ends
or does not keep up is replaced, and its listeners, whose keys went with it, are to
come back as new sessions.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial, reduce
from queue import Empty, SimpleQueue

from echowarp.app.child_process import ChildProcess
from echowarp.app.engine import Task
from echowarp.app.process_link import Ready, pack
from echowarp.app.sender import Block, Counters, Join, Leave, Open, Pause, SenderCommand
from echowarp.app.supervisor import JOIN_S, Supervisor
from echowarp.app.words import listeners
from echowarp.app.worker import Begin, Exhausted, News, run_worker
from echowarp.app.worker_place import WorkerPlace
from echowarp.errors import EchoWarpError
from echowarp.media.format import NS_PER_S
from echowarp.net.waker import Waker
from echowarp.session.gate import Feedback
from echowarp.wire.feedback import Request

log = logging.getLogger(__name__)

STALL_NS = NS_PER_S // 4
"""A server that gave out no block for so long stood still itself, and judges nobody."""
SOON_NS = NS_PER_S // 50
"""The next block comes before that, where one has come lately."""
STEADY_S = 10.0
"""A worker that lived for so long has nothing to do with how the one before it ended."""
MAX_PAUSE_S = 60.0
LOOK_S = 0.2


class Workers:
    """An outlet of the engine that shares the listeners among `count` processes.

    first_seq, first_time: of the first block; block_ns: how long a full one lasts;
    live: late ones are thrown away; post: has something done on the engine's thread.
    Called there: exhausted with a connection whose numbers are spent, lost with those
    whose worker is no more.
    """

    def __init__(
        self,
        count: int,
        udp: Sequence[socket.socket],
        *,
        first_seq: int,
        first_time: int,
        block_ns: int,
        live: bool,
        post: Callable[[Task], None],
        exhausted: Callable[[int], None],
        lost: Callable[[Sequence[int]], None],
    ) -> None:
        self._udp = udp
        self._seq = first_seq
        self._time = first_time
        self._block_ns = block_ns
        self._live = live
        self._post = post
        self._exhausted = exhausted
        self._lost = lost
        self._workers = tuple(WorkerPlace(number) for number in range(1, count + 1))
        self._of: dict[int, WorkerPlace] = {}
        self._open: set[int] = set()
        self._past = Counters()
        """Of processes that are no more."""
        self._last_block_ns = 0
        """When the last block came."""
        self._begun: SimpleQueue[str | None] = SimpleQueue()
        """From each thread once: why its first process did not get ready, or None."""
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()
        self._waker = Waker()
        self.counters = Counters()

    @property
    def seq(self) -> int:
        """Unwrapped sequence number of the next block."""
        return self._seq

    @property
    def time(self) -> int:
        """Unwrapped time of the next block, in frames."""
        return self._time

    @property
    def listeners(self) -> int:
        """How many are being sent to."""
        return len(self._open)

    def start(self, supervisor: Supervisor) -> None:
        """Starts them, each with a thread that looks after it, and returns when all are
        ready. Raises EchoWarpError when one cannot start; `close` is still to be called."""
        for worker in self._workers:
            keep = partial(self._keep, worker)
            self._threads.append(supervisor.spawn(f"worker {worker.number}", keep))
        begun = 0
        # A thread that fails tells the supervisor, and nobody else.
        while begun < len(self._workers) and not supervisor.stopping:
            try:
                failure = self._begun.get(timeout=LOOK_S)
            except Empty:
                continue
            if failure is not None:
                raise EchoWarpError(f"--workers: a worker process does not start: {failure}")
            begun += 1

    def close(self) -> None:
        """Ends them and their threads. The engine still runs, and learns what they did."""
        self._closing.set()
        self._waker.wake()
        for thread in self._threads:
            thread.join(JOIN_S)
        self._waker.close()

    # On a thread for each worker.

    def _keep(self, worker: WorkerPlace) -> None:
        """Starts its process, and another one whenever that has ended."""
        failures, is_first = 0, True
        while not self._closing.wait(_pause_s(failures)):
            begun_s = time.monotonic()
            failure = self._attend(worker, is_first)
            if is_first and failure is not None:
                self._begun.put(failure)
                return
            is_first = False
            failures = 0 if time.monotonic() - begun_s > STEADY_S else failures + 1

    def _attend(self, worker: WorkerPlace, is_first: bool) -> str | None:
        """Tells the engine of one process from its start to its end. Returns why it did
        not get ready, None when it did."""
        try:
            process = ChildProcess(run_worker, (tuple(self._udp),), name="echowarp worker")
        except EchoWarpError as error:
            if not is_first:
                log.warning("worker %d: %s", worker.number, error)
            return str(error)
        was_ready = False
        self._post(partial(self._on_started, worker, process))
        for news in process.news(self._waker.reader):
            self._post(partial(self._on_news, worker, process, news))
            if isinstance(news, Ready):
                was_ready = True
                if is_first:
                    self._begun.put(None)
        process.end()
        # One that never began is told by whoever started it.
        if not self._closing.is_set() and (was_ready or not is_first):
            self._post(partial(self._on_ended, worker, process))
        return None if was_ready else process.failure

    # On the engine's thread.

    def obey(self, command: SenderCommand) -> None:
        """Hands it to the worker that it concerns; a block goes to all."""
        if isinstance(command, Block):
            self._on_block(command)
            return
        connection = command.connection
        if isinstance(command, Join):
            self._of[connection] = self._choose()
            self._of[connection].connections.add(connection)
        worker = self._of.get(connection)
        if worker is None:
            return
        if isinstance(command, Open):
            self._open.add(connection)
        elif isinstance(command, Pause | Leave):
            self._open.discard(connection)
        if isinstance(command, Leave):
            del self._of[connection]
            worker.connections.remove(connection)
        now_ns = time.monotonic_ns()
        worker.give(pack(command), in_hurry=self._is_in_hurry(command, now_ns))
        if self._has_stood_still(now_ns):
            worker.excuse(now_ns)
        self._look_at(worker, now_ns)

    def _is_in_hurry(self, command: SenderCommand, now_ns: int) -> bool:
        """Not so reports and questions for the time, as long as blocks come: what waits
        for the next one costs less, and what it tells is as right then."""
        if not isinstance(command, Feedback) or isinstance(command.message, Request):
            return True
        return now_ns - self._last_block_ns > SOON_NS

    def _choose(self) -> WorkerPlace:
        """Who has the fewest listeners. One that is just starting has its share, else
        all that its predecessor had would stay with the others."""
        return min(self._workers, key=lambda each: (each.is_doubtful, len(each.connections)))

    def _on_block(self, block: Block) -> None:
        self._seq += 1
        self._time += block.lost_frames + block.frames
        now_ns, frame = time.monotonic_ns(), pack(block)
        stood_still = self._has_stood_still(now_ns)
        self._last_block_ns = now_ns
        for worker in self._workers:
            if worker.is_ready:
                worker.mark(now_ns, anew=stood_still)
                worker.give(frame)
                self._look_at(worker, now_ns)

    def _has_stood_still(self, now_ns: int) -> bool:
        """Whether that is true of this process, or of the source: then no worker is to blame."""
        return now_ns - self._last_block_ns > STALL_NS

    def _look_at(self, worker: WorkerPlace, now_ns: int) -> None:
        if self._closing.is_set():
            return
        if worker.process is not None and worker.is_stuck(now_ns):
            self._replace(worker, "it does not keep up")

    def _on_started(self, worker: WorkerPlace, process: ChildProcess) -> None:
        worker.process = process

    def _on_news(self, worker: WorkerPlace, process: ChildProcess, news: News) -> None:
        if worker.process is not process:
            return
        if isinstance(news, Ready):
            worker.begin(
                Begin(
                    first_seq=self._seq,
                    first_time=self._time,
                    block_ns=self._block_ns,
                    live=self._live,
                )
            )
        elif isinstance(news, Counters):
            worker.marked_ns, worker.counters = None, news
            self.counters = reduce(Counters.plus, (w.counters for w in self._workers), self._past)
        elif isinstance(news, Exhausted):
            self._open.discard(news.connection)
            self._exhausted(news.connection)

    def _on_ended(self, worker: WorkerPlace, process: ChildProcess) -> None:
        if worker.process is process:
            self._replace(worker, process.failure)

    def _replace(self, worker: WorkerPlace, why: str) -> None:
        """Its thread starts another process as soon as this one is no more."""
        assert worker.process is not None
        worker.process.kill()
        connections = tuple(worker.connections)
        log.warning(
            "worker %d is replaced: %s; %s must connect again",
            worker.number,
            why,
            listeners(len(connections)),
        )
        for connection in connections:
            del self._of[connection]
            self._open.discard(connection)
        self._past = self._past.plus(worker.counters)
        worker.forget()
        self._lost(connections)


def _pause_s(failures: int) -> float:
    """Before a process is started that follows so many which lived only shortly."""
    return 0.0 if failures < 2 else min(2.0 ** (failures - 2), MAX_PAUSE_S)
