"""A server under attack, and a well-behaved listener of it."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import TracebackType

from tests.app.sounds import (
    BLOCK_BYTES,
    HEADER_BYTES,
    SECOND_BYTES,
    common_start,
    has_recorded,
    is_silent_gap,
    recorded_bytes,
)
from tests.impair import Proxy
from tests.processes import Program, Stage, free_port, wait_until
from tests.recordings import read_pcm, speech_wav

LATENCY_MS = "700"
"""So much that no busy machine makes a block late; the sound is compared, not its delay."""
CLOCK_TOLERANCE_S = 1.5
"""A recording may lag by what the machine is late, never by what was asked to be played."""


def began_at(got: bytes, pcm: bytes) -> int:
    """Where in `pcm` a recording begins: no block occurs twice in it. Its place, bytes."""
    return (pcm + pcm).index(got[:BLOCK_BYTES])


def sent_from(pcm: bytes, start: int, count: int) -> bytes:
    """`count` bytes of what is sent round and round, from `start`."""
    start %= len(pcm)
    return (pcm * (2 + count // len(pcm)))[start : start + count]


class Listener:
    """A real client that records; `pcm` goes round and round in what it records.

    port: of whoever stands between it and the server.
    """

    def __init__(
        self, stage: Stage, pcm: bytes, *, port: int | None = None, name: str = "listener"
    ) -> None:
        self.sink = stage.folder / f"{name}.wav"
        self.program = stage.client(
            *("--latency", LATENCY_MS), sink=self.sink.name, port=port, name=name
        )
        self._pcm, self._port = pcm, port
        self._checked_bytes = self._began_bytes = 0
        self._since: tuple[float, int] | None = None

    def plays(self) -> None:
        """Waits until it records."""
        has_recorded(self.sink, 0.2)
        self._since = time.monotonic(), recorded_bytes(self.sink)

    def is_undisturbed(self) -> None:
        """Waits for a little more sound; all of it so far is what was sent, and it has
        gone on as fast as time has."""
        has_recorded(self.sink, recorded_bytes(self.sink) / SECOND_BYTES + 0.2)
        self._compare()
        assert self._since is not None
        begun_s, begun_bytes = self._since
        played_s = (recorded_bytes(self.sink) - begun_bytes) / SECOND_BYTES
        assert abs(played_s - (time.monotonic() - begun_s)) < CLOCK_TOLERANCE_S
        assert self.program.said.count("stream:") == 1, self.program.said
        self._lost_nothing()

    def leaves(self) -> None:
        """Says goodbye; its last figures and its whole recording are without a flaw."""
        assert self.program.leave() == 0, self.program.said
        self._compare()
        self._lost_nothing()

    def _compare(self) -> None:
        with self.sink.open("rb") as file:
            file.seek(HEADER_BYTES + self._checked_bytes)
            got = file.read()
        got = got[: len(got) // 4 * 4]
        if self._checked_bytes == 0:
            self._began_bytes = began_at(got, self._pcm)
        sent = sent_from(self._pcm, self._began_bytes + self._checked_bytes, len(got))
        assert got == sent, f"{self.program.name} recorded something else"
        self._checked_bytes += len(got)

    def _lost_nothing(self) -> None:
        wait_until(lambda: self.program.stream, "it has figures")
        stream = self.program.stream
        figures = {key: stream[key] for key in ("lost", "late", "concealed")}
        if self._port is None:
            figures["rejected"] = stream["rejected"]
        assert not any(figures.values()), (self.program.name, figures)


class Beside:
    """One server with a listener. arguments: further ones of the server."""

    def __init__(self, folder: Path, *arguments: str, listeners: int = 1) -> None:
        self.stage = Stage(folder)
        try:
            self.pcm = speech_wav(self.stage.folder / "in.wav", 2)
            self.server = self.stage.server(*arguments, "--loop", source="in.wav")
            self.listeners = [
                Listener(self.stage, self.pcm, name=f"listener-{n}") for n in range(listeners)
            ]
            for listener in self.listeners:
                listener.plays()
        except BaseException:
            self.stage.close()
            raise

    @property
    def port(self) -> int:
        """The server's."""
        return self.stage.port

    @property
    def banned(self) -> set[str]:
        """Who is in the server's ban list."""
        file = self.stage.folder / "echowarp_ban_list.txt"
        return set(file.read_text().split()) if file.exists() else set()

    @property
    def held(self) -> tuple[int, int]:
        """The server's descriptors and threads."""
        place = f"/proc/{self.server.pid}"
        return len(os.listdir(f"{place}/fd")), len(os.listdir(f"{place}/task"))

    def said_of(self, host: str) -> list[str]:
        """The server's lines about an address, without the clock."""
        lines = [line.partition(" ")[2] for line in self.server.said.splitlines()]
        return [line for line in lines if line.removeprefix("warning: ").startswith(host)]

    def is_undisturbed(self) -> None:
        """Nobody beside the attackers has noticed anything."""
        for listener in self.listeners:
            listener.is_undisturbed()
        for program in self.stage.programs:
            is_quiet(program)

    def __enter__(self) -> Beside:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                for listener in self.listeners:
                    listener.leaves()
                assert self.server.leave() == 0, self.server.said
        finally:
            self.stage.close()


def is_quiet(program: Program) -> None:
    """It has not failed, whatever it has been told."""
    for word in ("Traceback", "unexpected failure"):
        assert word not in program.said, program.said


class Unplugged:
    """A listener of `beside` whose cable is out from now on, for a minute."""

    OUT_S = 60.0

    def __init__(self, beside: Beside) -> None:
        self._pcm = beside.pcm
        self._sink = beside.stage.folder / "unplugged.wav"
        self._proxy = Proxy(free_port(), beside.port)
        self._proxy.__enter__()
        self._client = beside.stage.client(
            *("-r", "0"), sink=self._sink.name, port=self._proxy.port, name="unplugged"
        )
        has_recorded(self._sink, 0.2)
        self._proxy.cut()
        self._mend = threading.Timer(self.OUT_S, self._proxy.mend)
        self._mend.daemon = True
        self._mend.start()

    def comes_back(self) -> None:
        """Waits until it was out for a minute; plugged in, it goes on where it would be."""
        self._mend.join()
        assert "trying again" in self._client.said
        wait_until(self._sounds, "it has sounded again for a while", patience_s=40)
        assert self._client.leave() == 0
        _, _, got = read_pcm(self._sink)
        sent = sent_from(self._pcm, began_at(got, self._pcm), len(got))
        first = common_start(got, sent)
        blocks = range(0, len(got), BLOCK_BYTES)[::-1]
        back = BLOCK_BYTES + next(
            n for n in blocks if got[n : n + BLOCK_BYTES] != sent[n : n + BLOCK_BYTES]
        )
        assert back < len(got)
        assert is_silent_gap(got[first:back])
        assert (back - first) / SECOND_BYTES > self.OUT_S - 1

    def _sounds(self) -> bool:
        """Whether there is sound where the last fifth of a second of the recording begins,
        which has that minute."""
        if recorded_bytes(self._sink) < self.OUT_S * SECOND_BYTES:
            return False
        with self._sink.open("rb") as file:
            file.seek(-SECOND_BYTES // 5, os.SEEK_END)
            return any(file.read(BLOCK_BYTES))

    def close(self) -> None:
        """Takes the cable away for good."""
        self._mend.cancel()
        self._proxy.__exit__(None, None, None)
