"""One run of a client, from settings to summary."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from echowarp.app.client import PLAY_OUT_S, Client
from echowarp.app.ears import OnePlayback
from echowarp.app.ends import CardSinks, check_sink, open_pushed_sink
from echowarp.app.playback import Listener, Playback, Snapshot
from echowarp.app.pulled_playback import PulledPlayback
from echowarp.app.pushed_playback import PushedPlayback
from echowarp.app.stats import StatsWriter, ms
from echowarp.app.stream_stats import snapshot_fields, target_words
from echowarp.app.supervisor import Supervisor
from echowarp.app.talk_faces import TalkFaces
from echowarp.app.talk_user import TalkUser
from echowarp.app.talker import Talker, make_talker
from echowarp.app.target_words import too_small
from echowarp.app.volume import Volume
from echowarp.app.watch import NO_DEVICE, RateMeter, Signals, Watch
from echowarp.config.settings import Settings
from echowarp.crypto.password import encode_password
from echowarp.crypto.suite import Suite
from echowarp.device.returning import Presence
from echowarp.device.seams import PulledSink
from echowarp.media.format import Format
from echowarp.media.target import AUTO, LOW, ROBUST, Cause, Policy
from echowarp.session.streams import StreamTracker
from echowarp.ui.status import View
from echowarp.ui.terminal import Terminal

log = logging.getLogger(__name__)

OpenCard: TypeAlias = Callable[[Format], PulledSink]

NS_PER_MS = 1_000_000
MIX_PLAY_OUT_S = 8.0
"""The same of one who talks: the longest target, and how far a file may be behind."""
LATENCIES = {"low": LOW, "auto": AUTO, "robust": ROBUST}
NOTHING_NS = 3_000 * NS_PER_MS
NOTHING = (
    "this server sends nothing of its own now: if it is one for calls and rooms, give --nickname"
    " to take part"
)
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
    stats = _open_stats(settings, terminal)
    if settings.password is None:
        log.warning(NO_PASSWORD)
    supervisor = Supervisor()
    run = _Run(settings, prs, supervisor, card)
    user = TalkUser(run.talker, run.volume, terminal, signals)
    watch = Watch(
        run,
        supervisor,
        terminal,
        stats,
        signals,
        stdin_is_taken=settings.password_file == "-" or (settings.talks and settings.source == "-"),
        on_key=user.press,
        on_command=user.obey,
    )
    supervisor.spawn("control", run.control)

    def on_turn() -> None:
        run.check_target()
        run.check_stream(time.monotonic_ns())
        user.turn()

    try:
        watch.until_stopped(on_turn)
    finally:
        # The device stops first: what it would ask for after the goodbye is no gap.
        # A slow reader gets all of a sound that has ended, unless the user has had enough.
        run.close(lambda: signals.asked)
        run.client.stop()
        supervisor.join()
        watch.close()
        signals.done()
    supervisor.raise_error()
    run.summarise()


def _open_stats(settings: Settings, terminal: Terminal) -> StatsWriter | None:
    if settings.stats is None:
        return None
    return StatsWriter(settings.stats, overwrite=settings.overwrite, terminal=terminal)


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
        self._unsent_since_ns: int | None = None
        """Since when there has been a session in which nothing was sent; None without one."""
        self._told_unsent = False
        self._played_out = threading.Event()
        self._presence = Presence()
        self.volume = Volume(settings.volume)
        cards = CardSinks(settings, self.volume.gain, self._presence)
        self._open_card = card or cards.open
        self.talker: Talker | None = None
        self._faces: TalkFaces | None = None
        self._plain: OnePlayback | None = None
        if settings.talks:
            self.talker = make_talker(
                settings,
                latency=self._latency,
                volume=self.volume,
                card=self._open_card,
                own_format=(lambda: None) if card else cards.own_format,
                client=lambda: self.client,
                supervisor=supervisor,
            )
            self.client = Client(settings, prs, self.talker.ears, supervisor, talk=self.talker.talk)
            self._faces = TalkFaces(self.talker, self.client)
        else:
            self._plain = OnePlayback(
                lambda listener: self._make_playback(settings, listener),
                asked=lambda tracker, requests: self.client.request(tracker, requests),
                settled=lambda tracker: self.client.settled(tracker),
                played_out=self._played_out.set,
                enough=supervisor.stop,
                failed=supervisor.fail,
            )
            self.client = Client(settings, prs, self._plain, supervisor)
        self._bytes, self._gone, self._expected = RateMeter(), RateMeter(), RateMeter()

    def _make_playback(self, settings: Settings, listener: Listener) -> Playback:
        if settings.sink == "device":
            return PulledPlayback(
                self._open_card,
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

    @property
    def snapshot(self) -> Snapshot:
        """What is played."""
        if self.talker is not None:
            return self.talker.ears.snapshot
        assert self._plain is not None
        return self._plain.snapshot

    def close(self, hurried: Callable[[], bool]) -> None:
        """Stops source and sinks."""
        self._played_out.set()
        if self.talker is not None:
            self.talker.close(hurried)
        elif self._plain is not None:
            self._plain.playback.close(hurried)

    def control(self) -> None:
        """The control thread: connections, then the last sound."""
        self.client.run()
        if not self._supervisor.stopping:
            if self.talker is not None:
                self.talker.ears.play_out(MIX_PLAY_OUT_S)
            elif self._plain is not None and self._plain.snapshot.format is not None:
                self._played_out.wait(PLAY_OUT_S)
            self._supervisor.stop()

    def _delay_ms(self) -> float | None:
        """From capture to playback. None for a sink without a clock."""
        delay = self.snapshot.delay
        return None if delay is None else ms(delay.total_ns)

    def check_target(self) -> None:
        """Says once when a fixed target is too small, and what would do."""
        snapshot = self.snapshot
        fixed = snapshot.reason is not None and snapshot.reason.cause is Cause.FIXED
        if fixed and snapshot.needed_ns > snapshot.target_ns and not self._too_small:
            self._too_small = True
            words = too_small(target_ns=snapshot.target_ns, needed_ns=snapshot.needed_ns)
            log.warning("%s", words)

    def check_stream(self, now_ns: int) -> None:
        """Says once when a server has nothing for those who only listen."""
        if self.talker is not None or self._told_unsent:
            return
        if self.client.status.state != "connected" or self.snapshot.format is not None:
            self._unsent_since_ns = None
        elif self._unsent_since_ns is None:
            self._unsent_since_ns = now_ns
        elif now_ns - self._unsent_since_ns > NOTHING_NS:
            self._told_unsent = True
            log.warning(NOTHING)

    @property
    def _state(self) -> str:
        if self._presence.is_away:
            return NO_DEVICE
        status = self.client.status
        if self.talker is None or status.state in ("connecting", "reconnecting", "finished"):
            return status.state
        return self.talker.talk.view.state

    def view(self, now_ns: int) -> View:
        """The live line's contents."""
        client, snapshot = self.client, self.snapshot
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
            reason=target_words(snapshot, client) or "",
            volume=self.volume.words(),
            bits_per_s=self._bytes.per_second(client.received_bytes, now_ns) * 8,
            people=() if self._faces is None else self._faces.shown(now_ns),
            safety="" if self.talker is None else self.talker.talk.view.e2e,
        )

    def stats(self, now_ns: int) -> Mapping[str, Any]:
        """The fields of one line of statistics."""
        client = self.client
        if self._faces is not None:
            streams = self._faces.streams(now_ns)
        else:
            assert self._plain is not None
            tracker, known = self._plain.tracker, self._plain.snapshot
            streams = [self._stream(known, tracker, now_ns)] if known.format is not None else []
        told = {
            "role": "client",
            "state": self._state,
            "peers": int(client.status.suite is not None and client.status.state != "reconnecting"),
            "streams": streams,
        }
        return told if self._faces is None else told | self._faces.people()

    def _stream(
        self, snapshot: Snapshot, tracker: StreamTracker | None, now_ns: int
    ) -> dict[str, Any]:
        client = self.client
        return snapshot_fields(
            snapshot,
            client,
            jitter_ns=None if tracker is None else tracker.jitter_ns,
            bitrate=round(self._bytes.per_second(client.received_bytes, now_ns) * 8),
        )

    def summarise(self) -> None:
        """Says what was done."""
        c, delay_ms = self.snapshot.counters, self._delay_ms()
        delay = "" if delay_ms is None else f", delay {delay_ms:.0f} ms"
        log.info(
            "done: %d blocks received, %d lost, %d late, %d concealed%s",
            c.received,
            c.lost,
            c.late,
            c.concealed,
            delay,
        )
