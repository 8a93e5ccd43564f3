"""The web door as the server has it: a process of its own, and what the two tell each other.

What browsers and cache clients make it do, TLS and all, is done by another interpreter
than the one that sends sound.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from typing import Protocol

from echowarp import __version__
from echowarp.app.cache_folder import default_cache_dir
from echowarp.app.child_process import ChildProcess
from echowarp.app.process_link import Failed, Ready, pack
from echowarp.app.sender import Block
from echowarp.app.supervisor import JOIN_S, Supervisor
from echowarp.app.web_entrance import WebEntrance
from echowarp.app.web_messages import (
    Ban,
    Bans,
    DoorNews,
    DoorOrder,
    DoorSaid,
    Figures,
    FreePlace,
    Hears,
    Judged,
    Placed,
    Plan,
    SoundBlock,
    Tried,
    WantFigures,
    WantPlace,
    pack_block,
)
from echowarp.app.web_process import run_web
from echowarp.config.settings import Settings
from echowarp.errors import ConfigError, EchoWarpError
from echowarp.net.sockets import grow_buffers
from echowarp.net.waker import Waker
from echowarp.session.address import IpNetwork
from echowarp.session.admission import Verdict
from echowarp.session.bans import BanList

log = logging.getLogger(__name__)

LOOK_S = 0.2
STEADY_S = 10.0
"""A process that lived for so long has nothing to do with how the one before it ended."""
MAX_PAUSE_S = 60.0


class Host(Protocol):
    """The server behind the door. Called on the control thread."""

    def judge(self, host: str, *, right: bool) -> Verdict:
        """Somebody brought a password."""

    def take_place(self) -> bool:
        """Somebody wants to listen; whether there is room."""

    def attend(self) -> None:
        """What is sent now is heard: a source that waits for a listener may begin."""

    def give_place_back(self) -> None:
        """One who listened has left."""

    def figures(self) -> Figures:
        """How the server stands."""

    def bans(self) -> BanList:
        """Who is banned."""

    def streaming(self) -> Sequence[DoorOrder]:
        """What there is to be heard."""

    def finished(self, reason: str) -> DoorOrder:
        """There is nothing more to be heard."""


class WebEar:
    """Passes the stream's blocks to the door while somebody listens there; one that finds
    no room is lost, which its number shows. The engine's thread owns it.
    """

    def __init__(self) -> None:
        self.listeners = 0
        """How many there are; the control thread's."""
        self.pipe: tuple[socket.socket, bytearray] | None = None
        """Where blocks go and what is left of one; replaced whole."""

    def hear(self, seq: int, time: int, block: Block) -> None:
        """As of Ear."""
        pipe = self.pipe
        if pipe is None or not (self.listeners or pipe[1]):
            return
        sock, rest = pipe
        try:
            if rest:
                del rest[: sock.send(rest)]
            if self.listeners and not rest:
                frame = pack_block(SoundBlock(seq, time, block.captured_ns, block.payload))
                rest += frame[sock.send(frame) :]
        except BlockingIOError:
            return
        except OSError:
            # That the process has ended is noticed where its news are read.
            self.pipe = None


class WebDoor:
    """Starts the process, starts another when it ends, and carries what they say.

    post_control: has something done on the control thread, which does all but keep the
    process.
    """

    def __init__(
        self,
        settings: Settings,
        prs: bytes,
        entrance: WebEntrance,
        host: Host,
        post_control: Callable[[Callable[[int], None]], None],
    ) -> None:
        self._plan = Plan(
            name=f"EchoWarp {__version__}",
            prs=prs,
            certificate=entrance.certificate,
            max_clients=settings.max_clients,
            cache_dir=settings.cache_dir or default_cache_dir(),
            cache_max_bytes=settings.cache_max_bytes,
            cache_ttl_s=settings.cache_ttl,
            verbose=settings.verbose,
        )
        self._sockets = entrance.sockets
        self._host = host
        self._post_control = post_control
        self.ear = WebEar()
        """Who hears the stream for it."""
        self._process: ChildProcess | None = None
        self._waiting = bytearray()
        self._begun: SimpleQueue[tuple[str, int] | None] = SimpleQueue()
        self._closing = threading.Event()
        self._waker = Waker()
        self._thread: threading.Thread | None = None

    @property
    def listeners(self) -> int:
        """How many listen there."""
        return self.ear.listeners

    def start(self, supervisor: Supervisor) -> None:
        """Starts it and returns when it serves. Raises EchoWarpError when it cannot."""
        self._thread = supervisor.spawn("web door", self._keep)
        while not supervisor.stopping:
            try:
                failure = self._begun.get(timeout=LOOK_S)
            except Empty:
                continue
            if failure is None:
                return
            text, status = failure
            error = ConfigError if status == ConfigError.exit_status else EchoWarpError
            raise error(text)

    def close(self) -> None:
        """Ends the process and the thread, after its goodbyes."""
        self._closing.set()
        self._waker.wake()
        if self._thread is not None:
            self._thread.join(JOIN_S)
        self._waker.close()

    # On a thread of its own.

    def _keep(self) -> None:
        failures, is_first = 0, True
        while not self._closing.wait(_pause_s(failures)):
            begun_s = time.monotonic()
            failure = self._attend(is_first)
            if is_first and failure is not None:
                self._begun.put(failure)
                return
            is_first = False
            failures = 0 if time.monotonic() - begun_s > STEADY_S else failures + 1

    def _attend(self, is_first: bool) -> tuple[str, int] | None:
        """Looks after one process from its start to its end. Returns why it did not get
        ready, None when it did."""
        try:
            ours, process = self._begin_process()
        except EchoWarpError as error:
            if not is_first:
                log.warning("the web door does not open again: %s", error)
            return str(error), error.exit_status
        was_ready = False
        for news in process.news(self._waker.reader):
            if isinstance(news, Ready):
                was_ready = True
                self._post(partial(self._on_ready, process, ours))
                if is_first:
                    self._begun.put(None)
            elif not isinstance(news, Failed):
                self._post(partial(self._on_news, process, news))
        process.end()
        self._post(partial(self._on_ended, process, ours, was_ready or not is_first))
        return None if was_ready else (process.failure, process.exit_status)

    def _begin_process(self) -> tuple[socket.socket, ChildProcess]:
        """Where its sound goes, and the process. Raises EchoWarpError."""
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise EchoWarpError(f"no socket to send it sound by: {error}") from error
        ours.setblocking(False)
        grow_buffers(ours)
        try:
            with theirs:
                arguments = (theirs, self._sockets, self._plan)
                return ours, ChildProcess(run_web, arguments, name="echowarp web door")
        except EchoWarpError:
            ours.close()
            raise

    def _post(self, action: Callable[[], None]) -> None:
        self._post_control(lambda now_ns: action())

    # On the control thread.

    def finished(self, reason: str) -> None:
        """The stream is over, and why."""
        self._give(self._host.finished(reason))

    def banned(self, network: IpNetwork) -> None:
        """One more is banned."""
        self._give(Ban(network))

    def bans_changed(self) -> None:
        """The list was read again."""
        self._give(Bans(self._host.bans()))

    def _give(self, order: DoorOrder) -> None:
        if self._process is None:
            return
        self._waiting += pack(order)
        try:
            del self._waiting[: self._process.link.send(self._waiting)]
        except BlockingIOError:
            # It goes with the next one; figures are asked for every second.
            return
        except OSError:
            self._waiting.clear()

    def _on_ready(self, process: ChildProcess, sound: socket.socket) -> None:
        self._process = process
        self.ear.pipe = (sound, bytearray())
        self._give(Bans(self._host.bans()))
        for order in self._host.streaming():
            self._give(order)

    def _on_news(self, process: ChildProcess, news: DoorNews) -> None:
        if process is not self._process:
            return
        if isinstance(news, Tried):
            self._give(Judged(news.number, self._host.judge(news.host, right=news.right)))
        elif isinstance(news, WantPlace):
            granted = self._host.take_place()
            if granted:
                self.ear.listeners += 1
                log.info("%s listens in a browser", news.host)
            self._give(Placed(news.number, granted))
        elif isinstance(news, Hears):
            self._host.attend()
        elif isinstance(news, FreePlace):
            self.ear.listeners -= 1
            self._host.give_place_back()
            log.info("%s listens no longer: %s", news.host, news.detail)
        elif isinstance(news, WantFigures):
            self._give(self._host.figures())
        elif isinstance(news, DoorSaid):
            log.log(news.level, "%s", news.text)

    def _on_ended(self, process: ChildProcess, sound: socket.socket, told: bool) -> None:
        if process is self._process:
            self._process, self.ear.pipe = None, None
            self._waiting.clear()
            for _ in range(self.ear.listeners):
                self._host.give_place_back()
            self.ear.listeners = 0
        sound.close()
        if told and not self._closing.is_set():
            log.warning("the web door opens anew: %s", process.failure)


def _pause_s(failures: int) -> float:
    """Before a process is started that follows so many which lived only shortly."""
    return 0.0 if failures < 2 else min(2.0 ** (failures - 2), MAX_PAUSE_S)
