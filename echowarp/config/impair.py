"""What `--impair` asks for: how a made-up network treats each packet, either way."""

from __future__ import annotations

from dataclasses import dataclass
from reprlib import repr as short_repr

from echowarp.config.kinds import Range

MAX_LOSS_PERCENT = 90
MAX_MS = 1000
"""Of delay and jitter together: no answer is waited for longer than 2 s, there and back."""
MAX_BURST = 100
MAX_SEED = 2**32 - 1

_UNITS = {"loss": "%", "duplicate": "%", "jitter": "ms", "delay": "ms", "burst": "", "seed": ""}
_RANGES: dict[str, Range[float] | Range[int]] = {
    "loss": Range(float, 0, MAX_LOSS_PERCENT),
    "duplicate": Range(float, 0, 100),
    "jitter": Range(float, 0, MAX_MS),
    "delay": Range(float, 0, MAX_MS),
    "burst": Range(int, 1, MAX_BURST),
    "seed": Range(int, 0, MAX_SEED),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Impairment:
    """A network in each direction.

    loss_percent: of packets, in runs of burst_packets; duplicate_percent: of packets
    come twice; each is delay_ms under way, and up to jitter_ms more, evenly spread;
    seed: the same one gives the same fates.
    """

    loss_percent: float = 0.0
    duplicate_percent: float = 0.0
    jitter_ms: float = 0.0
    delay_ms: float = 0.0
    burst_packets: int = 1
    seed: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether every packet passes at once, and once."""
        return not (self.loss_percent or self.duplicate_percent or self.jitter_ms or self.delay_ms)

    def __str__(self) -> str:
        parts = []
        if self.loss_percent:
            runs = f" in runs of {self.burst_packets}" if self.burst_packets > 1 else ""
            parts.append(f"{self.loss_percent:g} % loss{runs}")
        if self.duplicate_percent:
            parts.append(f"{self.duplicate_percent:g} % duplicates")
        if self.delay_ms:
            parts.append(f"{self.delay_ms:g} ms delay")
        if self.jitter_ms:
            parts.append(f"{self.jitter_ms:g} ms jitter")
        return ", ".join(parts) + " each way" if parts else "a clean network"


CLEAN = Impairment()


def parse_impairment(text: str) -> Impairment:
    """Reads `loss=5%,jitter=20ms,delay=10ms,burst=3,duplicate=1%,seed=7`, in any order.

    Raises ValueError that names the part, what is wrong with it, and what would be right.
    """
    if not text.strip():
        raise ValueError("it is empty: give such as loss=5%,jitter=20ms")
    values: dict[str, float] = {}
    for part in text.split(","):
        key, equals, raw = part.strip().partition("=")
        if key not in _UNITS:
            raise ValueError(f"{short_repr(part)} is none of {'=, '.join(_UNITS)}=")
        if key in values:
            raise ValueError(f"{key} is given twice: remove one of them")
        values[key] = _number(key, raw if equals else "")
    if values.get("burst", 1) > 1 and not values.get("loss"):
        raise ValueError("burst is the length of losses: give loss as well, such as loss=5%")
    most_ms = values.get("delay", 0.0) + values.get("jitter", 0.0)
    if most_ms > MAX_MS:
        raise ValueError(f"delay and jitter are {most_ms:g} ms together: at most {MAX_MS} ms")
    return Impairment(
        loss_percent=values.get("loss", 0.0),
        duplicate_percent=values.get("duplicate", 0.0),
        jitter_ms=values.get("jitter", 0.0),
        delay_ms=values.get("delay", 0.0),
        burst_packets=int(values.get("burst", 1)),
        seed=int(values.get("seed", 0)),
    )


def impairment_text(text: str) -> str:
    """The option's parser: the text itself, once it is known to be good."""
    parse_impairment(text)
    return text


def _number(key: str, raw: str) -> float:
    unit, allowed = _UNITS[key], _RANGES[key]
    example = f"{key}={'3' if not unit else '5' + unit}"
    if not raw.endswith(unit):
        raise ValueError(f"{key}={short_repr(raw)} lacks its {unit}: give such as {example}")
    try:
        return allowed(raw.removesuffix(unit) if unit else raw)
    except ValueError:
        whole = "a whole number" if allowed.of is int else "a number"
        raise ValueError(
            f"{key}={short_repr(raw)} is not {whole}, {allowed}{' ' + unit if unit else ''}, "
            f"such as {example}"
        ) from None
