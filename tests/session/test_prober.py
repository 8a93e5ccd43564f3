from __future__ import annotations

from collections.abc import Callable

from echowarp.session.prober import Prober
from tests.virtual import MS, S


def probes(
    prober: Prober,
    *,
    start_ns: int,
    end_ns: int,
    audio: Callable[[int], int | None],
    probed_ns: int | None = None,
) -> list[int]:
    """Asks exactly when told to; `audio` gives when audio last came. In ms since the start."""
    found: list[int] = []
    now_ns = start_ns
    while True:
        now_ns = max(now_ns, prober.timeout_ns())
        if now_ns > end_ns:
            return found
        if prober.due(now_ns, audio_ns=audio(now_ns), probed_ns=probed_ns):
            probed_ns = now_ns
            found.append((now_ns - start_ns) // MS)
        assert prober.timeout_ns() > now_ns, "it never spins"


def never(_now_ns: int) -> None:
    return None


def always(now_ns: int) -> int:
    return now_ns - 5 * MS


def test_at_once_and_every_200_ms_until_udp_ok() -> None:
    prober = Prober(7 * S)
    assert prober.timeout_ns() == 7 * S
    assert not prober.heard
    found = probes(prober, start_ns=7 * S, end_ns=9 * S, audio=never)
    assert found == [0, 200, 400, 600, 800, 1000, 1200, 1400, 1600, 1800, 2000]


def test_audio_alone_does_not_stop_the_knocking() -> None:
    prober = Prober(0)
    assert probes(prober, start_ns=0, end_ns=500 * MS, audio=always) == [0, 200, 400]


def test_asked_early_it_says_no() -> None:
    prober = Prober(0)
    assert prober.due(0, audio_ns=None, probed_ns=None)
    assert not prober.due(199 * MS, audio_ns=None, probed_ns=0)
    assert prober.due(200 * MS, audio_ns=None, probed_ns=0)


def test_every_10_s_while_audio_flows() -> None:
    prober = Prober(0)
    assert prober.due(0, audio_ns=None, probed_ns=None)
    prober.udp_ok(50 * MS)
    assert prober.heard
    found = probes(prober, start_ns=0, end_ns=35 * S, audio=always, probed_ns=0)
    assert found == [10_000, 20_000, 30_000]


def test_after_any_second_without_audio() -> None:
    prober = Prober(0)
    assert prober.due(0, audio_ns=None, probed_ns=None)
    prober.udp_ok(50 * MS)

    def audio(now_ns: int) -> int:
        """It stops at 3.3 s and is back at 6.5 s."""
        return always(now_ns) if now_ns <= 3300 * MS or now_ns >= 6500 * MS else 3300 * MS

    found = probes(prober, start_ns=0, end_ns=9 * S, audio=audio, probed_ns=0)
    assert found[0] <= 4300 + 5
    assert found == [found[0] + k * 1000 for k in range(3)]


def test_each_second_when_no_audio_ever_came() -> None:
    prober = Prober(0)
    assert prober.due(0, audio_ns=None, probed_ns=None)
    prober.udp_ok(0)
    assert probes(prober, start_ns=0, end_ns=4 * S, audio=never, probed_ns=0) == [
        1000,
        2000,
        3000,
        4000,
    ]


def test_a_second_udp_ok_changes_nothing() -> None:
    prober = Prober(0)
    prober.udp_ok(0)
    assert prober.timeout_ns() == 1 * S
    prober.udp_ok(900 * MS)
    assert prober.timeout_ns() == 1 * S
