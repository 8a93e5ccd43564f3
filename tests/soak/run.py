"""One run: a server, two listeners that stay, others that come and go, and faults."""

from __future__ import annotations

import heapq
import itertools
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.app.sounds import SECOND_BYTES, recorded_bytes
from tests.proc import family
from tests.processes import Program, Stage, TookTooLong, free_port
from tests.recordings import speech_wav
from tests.soak.attacks import KINDS, Attacks
from tests.soak.guests import Guests
from tests.soak.heard import Ear, Tail
from tests.soak.network import Network, allow_files
from tests.soak.usage import Usage, growth, usage

BLOCK_S = 0.005
POLL_S = 0.1
LATENCY_MS = "700"
"""Of the listener behind the proxy: so long that neither loss nor jitter costs a block."""
RECORDING = "proxied.wav"
RECORDING_OFF_S = 1.5
"""It may lag by its patience, and by what the machine is late."""
SERVER_LIVES_FROM = 0.2
"""The server is killed in the first part of a run only: what grows must have time to."""
ROLL_CALLS = (0.25, 0.5, 0.75, 1.0)
PAUSE_S = (0.5, 3.0)
"""Between two happenings."""
SHORT_CUTS_S, LONG_CUT_S = (0.5, 1.5, 4.0), 17.0
SETTLED_S = 60.0
"""Within which everybody who stays must play after a fault, however busy the machine is."""
ORPHANED_S = 5.0
"""How long what a killed server had started may outlive it."""


@dataclass(slots=True, kw_only=True)
class Staying:
    """A listener that stays: its process, what it says, and what that means."""

    program: Program
    tail: Tail
    ear: Ear


class Soak:
    """seconds: how long from when all play; workers: of the server; say: takes the log's
    lines. `found` holds what must not be, in words."""

    def __init__(
        self, folder: Path, *, seconds: float, seed: int, workers: int, say: Callable[[str], object]
    ) -> None:
        self.found: list[str] = []
        self.happened: Counter[str] = Counter()
        self.usages: dict[str, list[Usage]] = {}
        """At each roll call of the processes as they are now."""
        self.staying: list[Staying] = []
        self._seconds, self._workers, self._say = seconds, workers, say
        self._rng = random.Random(seed)
        self._origin_s = time.monotonic()
        self._order = itertools.count()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._is_cut = self._calling = False
        allow_files()
        self._stage = Stage(folder)
        self._network = Network(free_port(), self._stage.port, random.Random(seed))
        ports = (self._stage.port, self._network.port)
        self._guests = Guests(self._stage, ports, self._rng)
        self._attacks = Attacks(self._stage.port)

    @property
    def now_s(self) -> float:
        """Since this run began."""
        return time.monotonic() - self._origin_s

    def run(self) -> None:
        """Runs it. Raises TookTooLong when something does not come about at all."""
        with self._stage, self._network:
            speech_wav(self._stage.folder / "in.wav", 2)
            self._server = self._open_server()
            self._stays("direct", port=None)
            self._stays("proxied", "--latency", LATENCY_MS, port=self._network.port)
            self._wait(self._all_play, "both listeners play")
            self._log("both listeners play")
            self._recording = self.now_s, recorded_bytes(self._stage.folder / RECORDING)
            self._plan(self.now_s)
            while self._agenda:
                self._poll()
            self._goodbye()
        self.found += [*self._guests.failures, *self._attacks.failures]
        for each in self.staying:
            self.found += each.ear.found
        for name, seen in self.usages.items():
            self.found += growth(name, seen)

    # What is planned.

    def _plan(self, begun_s: float) -> None:
        kills = max(1, round(self._seconds / 600))
        for n in range(kills):
            share = SERVER_LIVES_FROM * (n + 0.5) / kills
            self._at(begun_s + share * self._seconds, self._kill_server)
        for share in ROLL_CALLS:
            self._at(begun_s + share * self._seconds, self._call_roll)
        self._end_s = begun_s + self._seconds
        self._at(begun_s, self._happen)

    def _at(self, due_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (due_s, next(self._order), act))

    def _happen(self) -> None:
        pause_s = self._rng.uniform(*PAUSE_S)
        if self.now_s + pause_s < self._end_s:
            self._at(self.now_s + pause_s, self._happen)
        happenings = {
            self._guest_comes: 5,
            self._guest_goes: 3,
            self._guest_stops: 1,
            self._impair: 2,
            self._cut: 1,
            self._attack: 3,
        }
        self._rng.choices(tuple(happenings), tuple(happenings.values()))[0]()

    def _log(self, text: str) -> None:
        if text:
            self._say(f"{self.now_s:7.1f} s  {text}")

    def _count(self, kind: str, text: str, effect: str = "costs nobody else anything") -> None:
        if text:
            self.happened[kind] += 1
            self._log(f"{text}: {effect}")

    # What happens.

    def _guest_comes(self) -> None:
        self._count("come", self._guests.comes())

    def _guest_goes(self) -> None:
        self._count("go", self._guests.goes())

    def _guest_stops(self) -> None:
        text, wake = self._guests.stops()
        self._count("stand still", text)
        self._at(self.now_s + self._rng.uniform(1, 20), lambda: self._log(wake()))

    def _impair(self) -> None:
        loss, jitter_ms = self._rng.uniform(0.005, 0.05), self._rng.uniform(0, 20)
        self._network.impair(loss=loss, jitter_s=jitter_ms / 1000)
        text = f"loss {100 * loss:.1f} % and jitter {jitter_ms:.0f} ms by the proxy"
        self._count("loss", text, "all of it is repaired for who stays")

        def end() -> None:
            self._network.impair(loss=0.0, jitter_s=0.0)

        self._at(self.now_s + self._rng.uniform(2, 8), end)

    def _cut(self) -> None:
        # Now and then for longer than a session lives without a word.
        lengths_s = (*SHORT_CUTS_S, LONG_CUT_S) if self._seconds >= 60 else SHORT_CUTS_S
        cut_s = self._rng.choice(lengths_s) * self._rng.uniform(0.9, 1.1)
        if self._is_cut or self.now_s + cut_s > self._end_s:
            return
        self._is_cut = True
        ear = self.staying[1].ear
        ear.fault_begins()
        self._network.cut()
        text = f"the network behind the proxy is cut for {cut_s:.1f} s"
        self._count("cut", text, "proxied misses that time")

        def mend() -> None:
            self._network.mend()
            self._is_cut = False
            ear.fault_ends(self.now_s)
            self._log("the network behind the proxy is whole again")

        self._at(self.now_s + cut_s, mend)

    def _attack(self) -> None:
        kind = self._rng.choice(tuple(KINDS))
        self._count(kind, kind)
        self._attacks.start(kind, self._rng.getrandbits(32))

    def _kill_server(self) -> None:
        away_s = self._rng.uniform(0, 2)
        self._count(
            "server killed", f"the server is killed, back in {away_s:.1f} s", "a gap for all"
        )
        for each in self.staying:
            each.ear.fault_begins()
        started = family(self._server.pid)[1:]
        self._server.kill()
        self._is_quiet(self._server)
        self._at(self.now_s + ORPHANED_S, lambda: self._have_ended(started))

        def restart() -> None:
            self._server = self._open_server()
            self.usages.pop("server", None)
            for each in self.staying:
                each.ear.fault_ends(self.now_s)
            self._log("the server is back")

        self._at(self.now_s + away_s, restart)

    def _have_ended(self, pids: Iterable[int]) -> None:
        for pid in pids:
            if Path(f"/proc/{pid}").exists():
                self.found.append(f"process {pid} has outlived the server that started it")

    # What is looked at.

    def _call_roll(self) -> None:
        """When everybody else has gone and nothing is under way: who holds how much?"""
        if self._is_cut:
            self._at(self.now_s + 0.5, self._call_roll)
            return
        self._guests.all_leave()
        self._wait(lambda: self._attacks.over, "all attacks are over")
        self._wait(self._all_play, "both listeners play")
        self._wait(self._nobody_else, "the server has no other listeners")
        for name, program in self._processes().items():
            seen = usage(program.pid, self.now_s)
            self.usages.setdefault(name, []).append(seen)
            self._log(
                f"{name}: {seen.rss_kib} KiB, {seen.descriptors} descriptors,"
                f" {seen.threads} threads"
            )
        self._check_recording()

    def _check_recording(self) -> None:
        """Through all outages a recording keeps its time."""
        begun_s, begun_bytes = self._recording
        recorded = recorded_bytes(self._stage.folder / RECORDING) - begun_bytes
        off_s = recorded / SECOND_BYTES - (self.now_s - begun_s)
        self._log(f"{RECORDING} is {1000 * off_s:+.0f} ms off")
        if abs(off_s) > RECORDING_OFF_S:
            self.found.append(f"{RECORDING} is {off_s:+.1f} s off at {self.now_s:.0f} s")

    def _processes(self) -> dict[str, Program]:
        return {"server": self._server} | {s.ear.name: s.program for s in self.staying}

    def _all_play(self) -> bool:
        return all(each.ear.plays for each in self.staying)

    def _nobody_else(self) -> bool:
        lines = self._server.stats
        return bool(lines) and lines[-1]["peers"] == len(self.staying)

    def _poll(self) -> None:
        """Does what is due, and looks at everybody."""
        while self._agenda and self._agenda[0][0] <= self.now_s:
            heapq.heappop(self._agenda)[2]()
        self._look()
        time.sleep(POLL_S)

    def _look(self) -> None:
        for each in self.staying:
            if not each.program.running:
                raise TookTooLong(f"{each.ear.name} has ended:\n{each.program.said}")
            for line in each.tail.lines():
                each.ear.hear(line, self.now_s)
            each.ear.check_alive(self.now_s)
        self._guests.check()

    def _wait(self, happened: Callable[[], bool], what: str) -> None:
        deadline_s = self.now_s + SETTLED_S
        while not happened():
            if self.now_s > deadline_s:
                raise TookTooLong(f"{what}: not within {SETTLED_S:g} s")
            self._look()
            time.sleep(POLL_S)

    # Who is there.

    def _open_server(self) -> Program:
        workers = ("--workers", str(self._workers)) if self._workers > 1 else ()
        options = ("--ssl", "--loop", "-r", "3", *workers)
        return self._stage.server(*options, source="in.wav")

    def _stays(self, name: str, *options: str, port: int | None) -> None:
        sink = "null" if port is None else RECORDING
        program = self._stage.client("-r", "0", *options, sink=sink, port=port, name=name)
        ear = Ear(name, block_s=BLOCK_S)
        self.staying.append(Staying(program=program, tail=Tail(program.stats_file), ear=ear))

    def _goodbye(self) -> None:
        for each in self.staying:
            if each.program.leave():
                self.found.append(f"{each.ear.name} did not say goodbye: {each.program.said}")
        if self._server.leave():
            self.found.append(f"the server did not say goodbye: {self._server.said}")
        for program in self._stage.programs:
            self._is_quiet(program)

    def _is_quiet(self, program: Program) -> None:
        for word in ("Traceback", "unexpected failure"):
            if word in program.said:
                self.found.append(f"{program.name} has failed:\n{program.said}")
