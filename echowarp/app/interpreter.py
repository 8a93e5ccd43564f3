"""The Python interpreter, made ready for sound."""

from __future__ import annotations

import gc
import sys

SWITCH_INTERVAL_S = 0.0001
"""At the default of 5 ms, one busy Python thread makes the audio thread up to
100 ms late; at 0.1 ms under 1 ms."""


def make_ready() -> None:
    """Threads take turns quickly, and what is loaded is never searched for garbage again."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.collect()
    gc.freeze()
