"""One run of a client, from settings to summary."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from echowarp.app.client import PLAY_OUT_S, Client
from echowarp.app.ends import CardSinks, check_sink, open_pushed_sink
from echowarp.app.playback import Listener, Playback
from echowarp.app.pulled_playback import PulledPlayback
from echowarp.app.pushed_playback import PushedPlayback
from echowarp.app.stats import StatsWriter, ms, stream_fields
from echowarp.app.supervisor import Supervisor
from echowarp.app.target_words import target_line, too_small
from echowarp.app.volume import Volume
from echowarp.app.watch import NO_DEVICE, RateMeter, Signals, Watch
from echowarp.config.settings import Settings
from echowarp.crypto.password import encode_password
from echowarp.crypto.suite import Suite
from echowarp.device.returning import Presence
from echowarp.device.seams import PulledSink
from echowarp.media.format import Format
from echowarp.media.target import AUTO, LOW, ROBUST, Cause, Policy
from echowarp.ui.status import View
from echowarp.ui.terminal import Terminal

log = logging.getLogger(__name__)

OpenCard: TypeAlias = Callable[[Format], PulledSink]

NS_PER_MS = 1_000_000
LATENCIES = {"low": LOW, "auto": AUTO, "robust": ROBUST}
PROTECTION: dict[Suite | None, str] = {
    Suite.NONE: "unprotected",
    Suite.INTEGRITY: "signed",
    Suite.ENCRYPTED: "encrypted",
}
NO_PASSWORD = (
    "no password: an active attacker can impersonate the server; set --password on both sides"
)


def run_client(settings: Settings, terminal: Terminal, card: OpenCard | None = None) -> None:
    """Plays until finished or stopped. card: opens what stands in for the sound card.
    Raises EchoWarpError."""
    signals = Signals()
    prs = encode_password(settings.password)
    if card is None:
        check_sink(settings)
    stats = None
    if settings.stats is not None:
        stats = StatsWriter(settings.stats, overwrite=settings.overwrite, terminal=terminal)
    if settings.password is None:
        log.warning(NO_PASSWORD)
    supervisor = Supervisor()
    run = _Run(settings, prs, supervisor, card)

    def press(key: str) -> None:
        if run.volume.press(key) and not terminal.live:
            log.info(run.volume.words() or "volume 100 %")

    watch = Watch(run, supervisor, terminal, stats, signals, on_key=press)
    supervisor.spawn("control", run.control)
    try:
        watch.until_stopped(run.check_target)
    finally:
        # The device stops first: what it would ask for after the goodbye is no gap.
        # A slow reader gets all of a sound that has ended, unless the user has had enough.
        run.playback.close(lambda: signals.asked)
        run.client.stop()
        supervisor.join()
        watch.close()
    supervisor.raise_error()
    run.summarise()


def latency_of(settings: Settings) -> Policy | int:
    """The policy for the target, or the fixed target in nanoseconds."""
    fixed_ms = settings.latency_ms
    return LATENCIES[settings.latency] if fixed_ms is None else round(fixed_ms * NS_PER_MS)


class _Run:
    """A client with its playback, and what is shown of them."""

    def __init__(
        self, settings: Settings, prs: bytes, supervisor: Supervisor, card: OpenCard | None
    ) -> None:
        self._supervisor = supervisor
        self._latency = latency_of(settings)
        self._too_small = False
        self._played_out = threading.Event()
        self._presence = Presence()
        self.volume = Volume(settings.volume)
        self.playback = self._make_playback(settings, card)
        self.client = Client(settings, prs, self.playback, supervisor)
        self._bytes, self._gone, self._expected = RateMeter(), RateMeter(), RateMeter()

    def _make_playback(self, settings: Settings, card: OpenCard | None) -> Playback:
        listener = Listener(
            completed=lambda: self.client.completed(),
            played_out=self._played_out.set,
            wanted=lambda requests: self.client.request(requests),
            enough=self._supervisor.stop,
            failed=self._supervisor.fail,
        )
        if settings.sink == "device":
            return PulledPlayback(
                card or CardSinks(settings, self.volume.gain, self._presence).open,
                latency=self._latency,
                limit_s=settings.duration,
                listener=listener,
            )
        return PushedPlayback(
            lambda fmt, n: open_pushed_sink(settings, fmt, n, self.volume.gain),
            latency=self._latency,
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
        delay = self.playback.snapshot.delay
        return {
            "capture": None if delay is None else ms(delay.capture_ns),
            "network": None if delay is None else ms(delay.network_ns),
            "buffer": None if delay is None else ms(delay.buffer_ns),
            "device": None if delay is None else ms(delay.device_ns),
        }

    def _delay_ms(self) -> float | None:
        """From capture to playback. None for a sink without a clock."""
        delay = self.playback.snapshot.delay
        return None if delay is None else ms(delay.total_ns)

    def check_target(self) -> None:
        """Says once when a fixed target is too small, and what would do."""
        snapshot = self.playback.snapshot
        fixed = snapshot.reason is not None and snapshot.reason.cause is Cause.FIXED
        if fixed and snapshot.needed_ns > snapshot.target_ns and not self._too_small:
            self._too_small = True
            words = too_small(target_ns=snapshot.target_ns, needed_ns=snapshot.needed_ns)
            log.warning("%s", words)

    def _reason(self) -> str | None:
        """Why the target is what it is."""
        snapshot = self.playback.snapshot
        if snapshot.reason is None:
            return None
        return target_line(
            snapshot.reason,
            target_ns=snapshot.target_ns,
            guard_ns=snapshot.guard_ns,
            rto_ns=self.client.rto_ns,
            loss=self.client.loss,
        )

    @property
    def _state(self) -> str:
        return NO_DEVICE if self._presence.is_away else self.client.status.state

    def view(self, now_ns: int) -> View:
        """The live line's contents."""
        client, snapshot = self.client, self.playback.snapshot
        counters = snapshot.counters
        expected = self._expected.per_second(counters.received + counters.concealed, now_ns)
        gone = self._gone.per_second(counters.concealed, now_ns)
        return View(
            state=self._state,
            peers=PROTECTION.get(client.status.suite, ""),
            sound="" if snapshot.format is None else str(snapshot.format),
            level_db=None if snapshot.format is None else snapshot.level_db,
            delay_ms=self._delay_ms(),
            loss_percent=100 * gone / expected if expected else None,
            reason=self._reason() or "",
            volume=self.volume.words(),
            bits_per_s=self._bytes.per_second(client.received_bytes, now_ns) * 8,
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
                    duplicate=counters.duplicate + client.repeated,
                    reordered=counters.reordered,
                    concealed=counters.concealed,
                    rejected=client.rejected,
                    repaired=snapshot.repaired,
                    resent=snapshot.resent,
                    target_ms=ms(snapshot.target_ns),
                    target_reason=self._reason(),
                    drift_ppm=None if snapshot.drift_ppm is None else round(snapshot.drift_ppm, 1),
                    delay_ms=self._delay_ms(),
                    delay_parts_ms=self._delay_parts(),
                    rtt_ms=ms(client.rtt_ns),
                    jitter_ms=ms(client.jitter_ns),
                    bitrate=round(self._bytes.per_second(client.received_bytes, now_ns) * 8),
                    level_db=round(snapshot.level_db, 1),
                )
            )
        return {
            "role": "client",
            "state": self._state,
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
