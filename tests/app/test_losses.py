"""A network that loses, doubles and delays: it is repaired, or else counted."""

from __future__ import annotations

import pytest

from tests.app.sounds import BLOCK_BYTES
from tests.impair import Proxy, seeded
from tests.processes import Stage, free_port
from tests.recordings import read_pcm, speech_wav

BLOCKS = 600
FIRST, LAST = 20, BLOCKS - 200
"""Nothing is lost at the start, where it would have to be told from not yet begun, and
late ones have time to come."""


def run(stage: Stage, *, seed: int, latency_ms: str, **impair: float) -> tuple[Proxy, list[int]]:
    """Sends three seconds through the proxy. Returns it, and the blocks that differ."""
    pcm = speech_wav(stage.folder / "in.wav", BLOCKS * 0.005)
    server = stage.server("--ssl", source="in.wav")
    fate = seeded(seed, only=range(FIRST, LAST), **impair)
    with Proxy(free_port(), stage.port, fate) as proxy:
        client = stage.client("--latency", latency_ms, sink="got.wav", port=proxy.port)
        assert (client.ends(), server.ends()) == (0, 0), stage.said()
    _, _, got = read_pcm(stage.folder / "got.wav")
    assert len(got) == len(pcm)
    blocks = range(0, len(pcm), BLOCK_BYTES)
    return proxy, [
        n // BLOCK_BYTES for n in blocks if got[n : n + BLOCK_BYTES] != pcm[n : n + BLOCK_BYTES]
    ]


def test_what_is_lost_is_repaired_or_sent_again(stage: Stage) -> None:
    """Losses and copies, and some overtaken by later ones: the recording is whole."""
    impair = {"loss": 0.05, "duplicate": 0.05, "late": 0.05, "late_s": 0.02}
    proxy, differing = run(stage, seed=7, latency_ms="1000", **impair)
    assert proxy.to_client > BLOCKS
    assert differing == []
    stream = stage.programs[1].stream
    assert (stream["received"], stream["lost"], stream["late"]) == (BLOCKS, 0, 0)
    assert stream["concealed"] == 0
    assert stream["reordered"] > 0
    assert stream["repaired"] + stream["resent"] > 8
    assert stage.programs[0].stream["resent"] >= stream["resent"]
    # Copies of a datagram are replays to the window.
    assert stream["duplicate"] > 15


def test_the_automatic_target_waits_for_what_can_be_repaired(stage: Stage) -> None:
    """But for its first second, when nothing is known yet."""
    impair = {"loss": 0.05, "late": 0.3, "late_s": 0.01}
    _, differing = run(stage, seed=11, latency_ms="auto", **impair)
    stream = stage.programs[1].stream
    assert stream["received"] + stream["lost"] + stream["late"] == BLOCKS
    assert stream["concealed"] == stream["lost"] + stream["late"] == len(differing)
    assert len(differing) <= 4
    assert stream["target_ms"] <= 80


def test_what_comes_after_its_turn_is_late(stage: Stage) -> None:
    """A target too small to wait for anything: a block that no repair row gives before the
    next block comes is given up."""
    impair = {"loss": 0.03, "late": 0.04, "late_s": 0.4}
    _, differing = run(stage, seed=3, latency_ms="5", **impair)
    stream = stage.programs[1].stream
    assert stream["late"] > 2
    assert stream["received"] + stream["lost"] + stream["late"] == BLOCKS
    assert stream["concealed"] == stream["lost"] + stream["late"] == len(differing)
    assert stage.programs[0].stream["sent"] == BLOCKS


@pytest.mark.parametrize("latency", ["5", "300"])
def test_a_bad_start_is_kept_in_its_place(stage: Stage, latency: str) -> None:
    """The very first datagrams are lost: with time they are sent again, and without, the
    recording begins with silence for them."""
    pcm = speech_wav(stage.folder / "in.wav", 1)
    server = stage.server(source="in.wav")
    with Proxy(free_port(), stage.port, seeded(1, loss=1, only=range(10))) as proxy:
        client = stage.client("--latency", latency, sink="got.wav", port=proxy.port)
        assert (client.ends(), server.ends()) == (0, 0)
    _, _, got = read_pcm(stage.folder / "got.wav")
    assert len(got) == len(pcm)
    missing = client.stream["concealed"]
    assert (0 < missing < 10) if latency == "5" else missing == 0
    assert got[missing * BLOCK_BYTES :] == pcm[missing * BLOCK_BYTES :]
    assert not any(got[: (missing - 1) * BLOCK_BYTES]) or not missing
