"""The statistics of a stream that a client plays."""

from __future__ import annotations

from typing import Any

from echowarp.app.client import Client
from echowarp.app.playback import Snapshot
from echowarp.app.stats import ms, stream_fields
from echowarp.app.target_words import target_line


def snapshot_fields(snapshot: Snapshot, client: Client, **known: Any) -> dict[str, Any]:
    """A stream's object of `--stats`. known: fields that the snapshot does not tell."""
    fmt, counters, delay = snapshot.format, snapshot.counters, snapshot.delay
    return stream_fields(
        rate=None if fmt is None else fmt.rate,
        channels=None if fmt is None else fmt.channels,
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
        target_reason=target_words(snapshot, client),
        drift_ppm=None if snapshot.drift_ppm is None else round(snapshot.drift_ppm, 1),
        delay_ms=None if delay is None else ms(delay.total_ns),
        delay_parts_ms={
            "capture": None if delay is None else ms(delay.capture_ns),
            "network": None if delay is None else ms(delay.network_ns),
            "buffer": None if delay is None else ms(delay.buffer_ns),
            "device": None if delay is None else ms(delay.device_ns),
        },
        rtt_ms=ms(client.rtt_ns),
        jitter_ms=ms(known.pop("jitter_ns", None)),
        level_db=round(snapshot.level_db, 1),
        **known,
    )


def target_words(snapshot: Snapshot, client: Client) -> str | None:
    """Why the target of a stream is what it is, None before that is known."""
    if snapshot.reason is None:
        return None
    return target_line(
        snapshot.reason,
        target_ns=snapshot.target_ns,
        guard_ns=snapshot.guard_ns,
        rto_ns=client.rto_ns,
        loss=client.loss,
    )
