"""Keeps the buffer level where it belongs while two clocks run apart.

The error is taken on the highest level seen at arrivals, the minimum-delay
envelope, which jitter does not touch; a critically damped PI loop turns it into
a playback rate. Levels are ints of nanoseconds, rates are ppm.
"""

from __future__ import annotations

MS = 1_000_000
S = 1_000 * MS

TICK_NS = S
QUICK_NS = 30 * S
"""The loop is quick for so long, to catch the first offset."""
QUICK_TAU_S, CALM_TAU_S, NOISY_TAU_S = 5, 15, 30
NOISY_NS = 1 * MS
"""Above this mean change from second to second the envelope itself is noise."""
NOISE_SHARE = 1 / 8
STILL_NS = 3 * MS // 10
"""Clocks that have not run so far apart since the beginning may well be one and the same:
until they have, nothing is corrected, and sound passes as it was sent."""
CLAMP_PPM = 1000.0
SLEW_PPM_A_S = 100.0
OUTAGE_NS = 500 * MS
"""The integral stands still where nothing came for longer."""
_PPM_OF_NS_A_S = 1e-3
"""One ns per second is so many ppm."""


class DriftLoop:
    """The clock correction of one stream. One thread owns it, from `now_ns` on."""

    def __init__(self, now_ns: int) -> None:
        self.correction_ppm = 0.0
        """Play so much faster than the device's clock; negative for slower."""
        self.error_ns = 0
        """The last envelope: how much fuller than intended the buffer is."""
        self._started_ns = now_ns
        self._ticked_ns = now_ns
        self._seen_ns = now_ns
        self._outage = False
        self._highest_ns: int | None = None
        self._last_highest_ns: int | None = None
        self._still = True
        self._integral_ppm = 0.0
        self._calm_ppm = 0.0
        self._noise_ns = 0.0
        self._before_ns: int | None = None

    def observe(self, level_ns: int, intended_ns: int, now_ns: int) -> None:
        """A block came by itself.

        level_ns: how long until it is played, as the buffer stands; intended_ns: how
        long that would be on the fastest path: the target as far as it has been
        carried out, so that deliberate moves of it are no error.
        """
        if now_ns - self._seen_ns > OUTAGE_NS:
            self._outage = True
        self._seen_ns = now_ns
        error_ns = level_ns - intended_ns
        if self._highest_ns is None or error_ns > self._highest_ns:
            self._highest_ns = error_ns

    def forgive(self) -> None:
        """What was seen so far was no drift and has been dealt with: what the last error
        added is taken back."""
        self._integral_ppm = self._calm_ppm
        self.correction_ppm = self._calm_ppm
        self.error_ns = 0
        self._before_ns = self._last_highest_ns = self._highest_ns = None

    def timeout_ns(self) -> int:
        """When the next tick is due."""
        return self._ticked_ns + TICK_NS

    def tick(self, now_ns: int) -> float:
        """Renews the correction once a second; returns it in ppm. Early calls change nothing."""
        elapsed_ns = now_ns - self._ticked_ns
        if elapsed_ns < TICK_NS:
            return self.correction_ppm
        self._ticked_ns = now_ns
        # A tick that comes late says nothing about the time in which none came.
        elapsed_s = min(2.0, elapsed_ns / S)
        outage = self._outage or now_ns - self._seen_ns > OUTAGE_NS
        highest_ns, self._highest_ns, self._outage = self._highest_ns, None, False
        wanted_ppm = self._integral_ppm
        if outage:
            self._before_ns = self._last_highest_ns = None
        elif highest_ns is not None:
            # Two seconds, because one of the two may hold no block that came the fastest way.
            last_ns, self._last_highest_ns = self._last_highest_ns, highest_ns
            error_ns = highest_ns if last_ns is None else max(highest_ns, last_ns)
            self._still = self._still and abs(error_ns) <= STILL_NS
            if not self._still:
                wanted_ppm = self._follow(error_ns, elapsed_s, now_ns)
        slew_ppm = SLEW_PPM_A_S * elapsed_s
        step_ppm = max(-slew_ppm, min(slew_ppm, wanted_ppm - self.correction_ppm))
        self.correction_ppm = _clamp(self.correction_ppm + step_ppm)
        return self.correction_ppm

    def _follow(self, error_ns: int, elapsed_s: float, now_ns: int) -> float:
        self.error_ns = error_ns
        if self._before_ns is not None:
            change_ns = abs(error_ns - self._before_ns)
            self._noise_ns += (change_ns - self._noise_ns) * NOISE_SHARE
        self._before_ns = error_ns
        tau_s = self._tau_s(now_ns)
        proportional_ppm = error_ns * _PPM_OF_NS_A_S / tau_s
        more_ppm = error_ns * _PPM_OF_NS_A_S * elapsed_s / (4 * tau_s * tau_s)
        self._calm_ppm = self._integral_ppm
        self._integral_ppm = _clamp(self._integral_ppm + more_ppm)
        return _clamp(proportional_ppm + self._integral_ppm)

    def _tau_s(self, now_ns: int) -> int:
        if now_ns - self._started_ns < QUICK_NS:
            return QUICK_TAU_S
        return NOISY_TAU_S if self._noise_ns > NOISY_NS else CALM_TAU_S


def _clamp(ppm: float) -> float:
    return max(-CLAMP_PPM, min(CLAMP_PPM, ppm))
