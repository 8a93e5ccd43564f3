"""A network that loses, doubles and delays: what arrives is exact, the rest is counted."""

from __future__ import annotations

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


def test_what_is_lost_is_a_gap_and_all_else_is_exact(stage: Stage) -> None:
    """Losses and copies, and some overtaken by later ones but in time."""
    impair = {"loss": 0.05, "duplicate": 0.05, "late": 0.05, "late_s": 0.02}
    fate = seeded(7, only=range(FIRST, LAST), **impair)
    gone = [n for n in range(BLOCKS) if fate(n) == ()]
    proxy, differing = run(stage, seed=7, latency_ms="1000", **impair)
    assert proxy.to_client == BLOCKS
    assert len(gone) > 15
    assert differing == gone
    stream = stage.programs[1].stream
    copies = sum(len(fate(n)) == 2 for n in range(BLOCKS))
    assert (stream["received"], stream["lost"], stream["late"]) == (
        BLOCKS - len(gone),
        len(gone),
        0,
    )
    assert stream["concealed"] == len(gone)
    assert stream["reordered"] > 0
    # Copies of a datagram are replays to the window, before they are copies of a block.
    assert stream["duplicate"] + stream["rejected"] == copies


def test_what_comes_after_its_turn_is_late(stage: Stage) -> None:
    impair = {"loss": 0.03, "late": 0.04, "late_s": 0.4}
    proxy, differing = run(stage, seed=3, latency_ms="50", **impair)
    stream = stage.programs[1].stream
    assert stream["late"] > 10
    assert stream["received"] + stream["lost"] + stream["late"] == proxy.to_client == BLOCKS
    assert stream["concealed"] == stream["lost"] + stream["late"] == len(differing)
    assert stage.programs[0].stream["sent"] == BLOCKS


def test_a_bad_start_is_kept_in_its_place(stage: Stage) -> None:
    """The very first datagrams are lost: the recording begins with silence for them."""
    pcm = speech_wav(stage.folder / "in.wav", 1)
    server = stage.server(source="in.wav")
    with Proxy(free_port(), stage.port, seeded(1, loss=1, only=range(7))) as proxy:
        client = stage.client(sink="got.wav", port=proxy.port)
        assert (client.ends(), server.ends()) == (0, 0)
    _, _, got = read_pcm(stage.folder / "got.wav")
    assert len(got) == len(pcm)
    assert got[7 * BLOCK_BYTES :] == pcm[7 * BLOCK_BYTES :]
    assert not any(got[: 6 * BLOCK_BYTES])
    assert client.stream["lost"] == 7
