"""Who gets which listener, and when a worker is given up: without processes."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from types import SimpleNamespace

import pytest

from echowarp.app import workers as module
from echowarp.app.engine import Task
from echowarp.app.process_link import Ready, Unpacker
from echowarp.app.sender import Block, Counters, Join, Leave, Open
from echowarp.app.supervisor import Supervisor
from echowarp.app.worker import Begin, Exhausted, News, Order
from echowarp.app.workers import Workers
from echowarp.crypto.suite import Suite
from echowarp.errors import EchoWarpError
from echowarp.net.udp_server import Way
from echowarp.session.gate import Feedback
from echowarp.wire.feedback import ClockAsk, Report, Request
from tests.processes import wait_until

MS = 1_000_000
WAY = Way(0, ("127.0.0.1", 9), None)


class FakeProcess:
    """A worker process that does nothing but what the test says."""

    made: list[FakeProcess]
    failing = ""

    def __init__(self, *arguments: object, name: str) -> None:
        if self.failing:
            raise EchoWarpError(self.failing)
        self.link, self.theirs = socket.socketpair()
        self.link.setblocking(False)
        self.theirs.setblocking(False)
        self.failure = "it has ended"
        self.killed = False
        self._news: SimpleQueue[News | None] = SimpleQueue()
        self._unpacker = Unpacker()
        self.made.append(self)

    def tell(self, news: News | None) -> None:
        """News of it; None when it ends."""
        self._news.put(news)

    def is_told(self) -> bool:
        """Whether there are orders."""
        return bool(select.select([self.theirs], [], [], 0)[0])

    def orders(self) -> list[Order | News]:
        """What it was told since."""
        try:
            return list(self._unpacker.feed(self.theirs.recv(1 << 20)))
        except BlockingIOError:
            return []

    def news(self, stop: socket.socket) -> Iterator[News]:
        """As of ChildProcess."""
        while (news := self._news.get()) is not None:
            yield news

    def kill(self) -> None:
        """As of ChildProcess."""
        self.killed = True
        self._news.put(None)

    def end(self) -> None:
        """As of ChildProcess."""
        self.link.close()
        self.theirs.close()


class Scene:
    """Two workers, their engine's thread, and a clock that stands still."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now_ns = 1_000 * MS
        self.made: list[FakeProcess] = []
        self.lost: list[int] = []
        self.exhausted: list[int] = []
        self._tasks: SimpleQueue[Task] = SimpleQueue()
        patch.setattr(FakeProcess, "made", self.made, raising=False)
        patch.setattr(module, "ChildProcess", FakeProcess)
        clock = SimpleNamespace(monotonic_ns=lambda: self.now_ns, monotonic=lambda: 0.0)
        patch.setattr(module, "time", clock)
        self.supervisor = Supervisor()
        self.workers = Workers(
            2,
            (),
            first_seq=100,
            first_time=1000,
            block_ns=5 * MS,
            live=True,
            post=self._tasks.put,
            exhausted=self.exhausted.append,
            lost=self.lost.extend,
        )

    def start(self) -> None:
        """Both get ready."""
        thread = threading.Thread(target=self.workers.start, args=(self.supervisor,))
        thread.start()
        wait_until(lambda: len(self.made) == 2, "they start")
        for process in self.made:
            process.tell(Ready())
        thread.join()
        self.until(lambda: [o for p in self.made for o in p.orders()], "they are told to begin")
        self.made.sort(key=[each.process for each in self.workers._workers].index)  # type: ignore[arg-type]

    def until(self, happened: Callable[[], object], what: str) -> None:
        """Does what is to be done on the engine's thread until it has happened."""

        def turn() -> object:
            try:
                while True:
                    self._tasks.get_nowait()()
            except Empty:
                return happened()

        wait_until(turn, what)

    def join(self, *connections: int) -> None:
        for connection in connections:
            self.workers.obey(Join(connection, Suite.NONE, b"", bytes(8)))
            self.workers.obey(Open(connection, WAY))

    def blocks(self, count: int, *, every_ns: int = 100 * MS) -> None:
        for _ in range(count):
            self.now_ns += every_ns
            self.workers.obey(Block(b"", 240, 0, self.now_ns))

    def joined(self) -> list[list[int]]:
        """Who was handed to each process, oldest first."""
        return [
            [order.connection for order in process.orders() if isinstance(order, Join)]
            for process in self.made
        ]

    def close(self) -> None:
        for process in self.made:
            process.tell(None)
        self.workers.close()


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    made = Scene(monkeypatch)
    made.start()
    yield made
    made.close()


def feedback(connection: int, message: Report | Request | ClockAsk) -> Feedback:
    return Feedback(connection=connection, stream=0, message=message, at_ns=0)


def test_a_server_that_stood_still_blames_no_worker(scene: Scene) -> None:
    """A report is the first that it sees, before the next block."""
    scene.join(1, 2)
    scene.blocks(1)
    scene.now_ns += 60_000 * MS
    scene.workers.obey(feedback(1, Report(1, 1, 0, 0, ())))
    scene.blocks(1)
    assert not scene.lost and not any(process.killed for process in scene.made)


def test_a_new_listener_goes_to_who_has_the_fewest(scene: Scene) -> None:
    scene.join(1, 2, 3, 4)
    for leaver in (1, 3):
        scene.workers.obey(Leave(leaver))
    scene.join(5, 6, 7)
    assert scene.workers.listeners == 5
    first, second = scene.joined()
    assert first == [1, 3, 5, 6, 7]
    assert second == [2, 4]


def test_orders_go_to_whose_listener_it_is(scene: Scene) -> None:
    scene.join(1, 2)
    scene.joined()
    request = feedback(2, Request(1, 1))
    scene.workers.obey(request)
    scene.workers.obey(feedback(3, Request(1, 1)))
    assert [process.orders() for process in scene.made] == [[], [request]]


@pytest.mark.parametrize("message", [Report(1, 1, 0, 0, ()), ClockAsk(1)])
def test_a_report_waits_for_the_next_block(scene: Scene, message: Report | ClockAsk) -> None:
    """And a question for the time. Where there is no block, it goes at once."""
    scene.join(1)
    scene.blocks(1, every_ns=5 * MS)
    scene.joined()
    told = feedback(1, message)
    scene.workers.obey(told)
    assert scene.made[0].orders() == []
    scene.blocks(1, every_ns=5 * MS)
    assert [type(order) for order in scene.made[0].orders()] == [Feedback, Block]
    scene.now_ns += 100 * MS
    scene.workers.obey(told)
    assert scene.made[0].orders() == [told]


def test_one_that_does_not_come_to_its_mark_is_replaced(scene: Scene) -> None:
    """After a second. The other, which answers, keeps its listeners."""
    scene.join(1, 2)
    for _ in range(10):
        scene.blocks(1)
        scene.made[1].tell(Counters(datagrams=5))
        scene.until(lambda: scene.workers.counters.datagrams == 5, "it tells")
    assert not scene.made[0].killed
    scene.blocks(2)
    assert [process.killed for process in scene.made[:2]] == [True, False]
    assert scene.lost == [1]
    assert scene.workers.listeners == 1
    scene.until(lambda: len(scene.made) == 3, "another is started")
    assert scene.workers.counters.datagrams == 5


def test_who_stood_still_itself_judges_nobody(scene: Scene) -> None:
    scene.blocks(1)
    for _ in range(3):
        scene.blocks(1, every_ns=5_000 * MS)
    assert [process.killed for process in scene.made] == [False, False]


def test_a_listener_of_one_that_starts_waits_for_it(scene: Scene) -> None:
    """It has its share of those who come; the stream begins for it where it is by then."""
    scene.join(1, 2)
    scene.blocks(3)
    scene.made[0].tell(None)
    scene.until(lambda: scene.lost == [1] and len(scene.made) == 3, "it is replaced")
    scene.until(lambda: all(w.process for w in scene.workers._workers), "and known")
    scene.join(3)
    scene.blocks(2)
    assert scene.made[2].orders() == []
    scene.made[2].tell(Ready())
    scene.until(scene.made[2].is_told, "it is told to begin")
    orders = scene.made[2].orders()
    assert orders[0] == Begin(first_seq=105, first_time=1000 + 5 * 240, block_ns=5 * MS, live=True)
    assert [type(order) for order in orders[1:]] == [Join, Open]
    scene.blocks(1)
    assert Block in map(type, scene.made[2].orders())


def test_one_that_takes_nothing_is_given_up(scene: Scene) -> None:
    """Without blocks as well; what is kept for it has a bound."""
    scene.join(1, 2)
    for _ in range(100_000):
        scene.workers.obey(feedback(2, Request(1, 1)))
        if scene.made[1].killed:
            break
    assert [process.killed for process in scene.made[:2]] == [False, True]
    assert scene.lost == [2]


def test_spent_numbers_are_passed_on(scene: Scene) -> None:
    scene.join(1, 2)
    scene.made[1].tell(Exhausted(2))
    scene.until(lambda: scene.exhausted == [2], "it is told")
    assert scene.workers.listeners == 1


def test_what_the_dead_have_sent_still_counts(scene: Scene) -> None:
    for process in scene.made:
        process.tell(Counters(1, 2, 3, 4, 5))
    scene.until(lambda: scene.workers.counters == Counters(2, 4, 6, 8, 10), "both tell")
    scene.made[0].tell(None)
    scene.until(lambda: len(scene.made) == 3, "it is replaced")
    scene.made[1].tell(Counters(2, 2, 3, 4, 5))
    scene.until(lambda: scene.workers.counters == Counters(3, 4, 6, 8, 10), "the other goes on")


def test_one_that_cannot_start_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeProcess, "failing", "no more processes")
    made = Scene(monkeypatch)
    with pytest.raises(EchoWarpError, match=r"^--workers: .*: no more processes$"):
        made.workers.start(made.supervisor)
    made.close()


def test_a_failure_of_our_own_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Scene(monkeypatch)

    def broken(*arguments: object, name: str) -> FakeProcess:
        raise RuntimeError("a bug")

    monkeypatch.setattr(module, "ChildProcess", broken)
    made.workers.start(made.supervisor)
    with pytest.raises(RuntimeError, match="a bug"):
        made.supervisor.raise_error()
    made.close()
