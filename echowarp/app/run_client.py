"""One run of a client, from settings to summary."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

from echowarp.app.client import PLAY_OUT_S, Client
from echowarp.app.ends import check_sink, open_pulled_sink, open_pushed_sink
from echowarp.app.playback import Listener, Playback
from echowarp.app.pulled_playback import PulledPlayback
from echowarp.app.pushed_playback import PushedPlayback
from echowarp.app.stats import StatsWriter, ms, stream_fields
from echowarp.app.supervisor import Supervisor
from echowarp.app.watch import RateMeter, Signals, Watch
from echowarp.config.settings import Settings
from echowarp.crypto.password import encode_password
from echowarp.crypto.suite import Suite
from echowarp.ui.status import View
from echowarp.ui.terminal import Terminal

log = logging.getLogger(__name__)

NS_PER_MS = 1_000_000
LATENCY_MS = {"low": 30.0, "auto": 60.0, "robust": 120.0}
"""A wired network; good Wi-Fi and the bursts of a sound server; Wi-Fi at its worst."""
PROTECTION: dict[Suite | None, str] = {
    Suite.NONE: "unprotected",
    Suite.INTEGRITY: "signed",
    Suite.ENCRYPTED: "encrypted",
}
NO_PASSWORD = (
    "no password: an active attacker can impersonate the server; set --password on both sides"
)


def run_client(settings: Settings, terminal: Terminal) -> None:
    """Plays until finished or stopped. Raises EchoWarpError."""
    signals = Signals()
    prs = encode_password(settings.password)
    check_sink(settings)
    stats = None
    if settings.stats is not None:
        stats = StatsWriter(settings.stats, overwrite=settings.overwrite, terminal=terminal)
    if settings.password is None:
        log.warning(NO_PASSWORD)
    supervisor = Supervisor()
    run = _Run(settings, prs, supervisor)
    watch = Watch(run, supervisor, terminal, stats, signals)
    supervisor.spawn("control", run.control)
    try:
        watch.until_stopped()
    finally:
        # The device stops first: what it would ask for after the goodbye is no gap.
        # A slow reader gets all of a sound that has ended, unless the user has had enough.
        run.playback.close(lambda: signals.asked)
        run.client.stop()
        supervisor.join()
        watch.close()
    supervisor.raise_error()
    run.summarise()


class _Run:
    """A client with its playback, and what is shown of them."""

    def __init__(self, settings: Settings, prs: bytes, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        target_ms = settings.latency_ms
        self._target_ms = LATENCY_MS[settings.latency] if target_ms is None else target_ms
        self._played_out = threading.Event()
        self.playback = self._make_playback(settings)
        self.client = Client(settings, prs, self.playback, supervisor)
        self._bytes, self._gone, self._expected = RateMeter(), RateMeter(), RateMeter()

    def _make_playback(self, settings: Settings) -> Playback:
        listener = Listener(
            completed=lambda: self.client.completed(),
            played_out=self._played_out.set,
            enough=self._supervisor.stop,
            failed=self._supervisor.fail,
        )
        target_ns = round(self._target_ms * NS_PER_MS)
        if settings.sink == "device":
            return PulledPlayback(
                lambda fmt: open_pulled_sink(settings, fmt),
                target_ns=target_ns,
                limit_s=settings.duration,
                listener=listener,
            )
        return PushedPlayback(
            lambda fmt, n: open_pushed_sink(settings, fmt, n),
            patience_ns=target_ns,
            limit_s=settings.duration,
            listener=listener,
        )

    def control(self) -> None:
        """The control thread: connections, then the last sound."""
        self.client.run()
        if not self._supervisor.stopping:
            if self.playback.snapshot.format is not None:
                self._played_out.wait(PLAY_OUT_S)
            self._supervisor.stop()

    def _delay_parts(self) -> dict[str, float | None]:
        snapshot, rtt_ns = self.playback.snapshot, self.client.rtt_ns
        fmt = snapshot.format
        return {
            "capture": None if fmt is None else ms(fmt.block_ns),
            "network": None if rtt_ns is None else ms(rtt_ns / 2),
            "buffer": ms(snapshot.buffer_ns),
            "device": ms(snapshot.device_ns),
        }

    def _delay_ms(self) -> float | None:
        """The sum of the parts that are known. None for a sink without a clock."""
        parts = self._delay_parts()
        if parts["buffer"] is None:
            return None
        return round(sum(part for part in parts.values() if part is not None), 3)

    def view(self, now_ns: int) -> View:
        """The live line's contents."""
        client, snapshot = self.client, self.playback.snapshot
        counters = snapshot.counters
        expected = self._expected.per_second(counters.received + counters.concealed, now_ns)
        gone = self._gone.per_second(counters.concealed, now_ns)
        return View(
            state=client.status.state,
            peers=PROTECTION.get(client.status.suite, ""),
            sound="" if snapshot.format is None else str(snapshot.format),
            level_db=None if snapshot.format is None else snapshot.level_db,
            delay_ms=self._delay_ms(),
            loss_percent=100 * gone / expected if expected else None,
            bits_per_s=self._bytes.per_second(client.status.received_bytes, now_ns) * 8,
        )

    def stats(self, now_ns: int) -> Mapping[str, Any]:
        """The fields of one line of statistics."""
        client, snapshot = self.client, self.playback.snapshot
        fmt, counters, streams = snapshot.format, snapshot.counters, []
        if fmt is not None:
            streams.append(
                stream_fields(
                    rate=fmt.rate,
                    channels=fmt.channels,
                    suite=None if client.status.suite is None else client.status.suite.label,
                    received=counters.received,
                    lost=counters.lost,
                    late=counters.late,
                    duplicate=counters.duplicate,
                    reordered=counters.reordered,
                    concealed=counters.concealed,
                    rejected=client.rejected,
                    target_ms=self._target_ms,
                    delay_ms=self._delay_ms(),
                    delay_parts_ms=self._delay_parts(),
                    rtt_ms=ms(client.rtt_ns),
                    jitter_ms=ms(client.jitter_ns),
                    bitrate=round(self._bytes.per_second(client.status.received_bytes, now_ns) * 8),
                    level_db=round(snapshot.level_db, 1),
                )
            )
        return {
            "role": "client",
            "state": client.status.state,
            "peers": int(client.status.suite is not None and client.status.state != "reconnecting"),
            "streams": streams,
        }

    def summarise(self) -> None:
        """Says what was done."""
        c, delay_ms = self.playback.snapshot.counters, self._delay_ms()
        delay = "" if delay_ms is None else f", delay {delay_ms:.0f} ms"
        log.info(
            "done: %d blocks received, %d lost, %d late, %d concealed%s",
            c.received,
            c.lost,
            c.late,
            c.concealed,
            delay,
        )
