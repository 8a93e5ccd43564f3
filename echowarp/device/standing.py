"""A source and a sink that stand while their sound card goes and comes back.

Meanwhile the stream goes on at the pace of the clock: the source gives silence, and what
is pulled for the sink is thrown away.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from echowarp.device.card import CardSink, CardSource
from echowarp.device.continuity import Continuity
from echowarp.device.opening import SinkOpener, SourceOpener
from echowarp.device.pacing import Pacer
from echowarp.device.returning import Presence, Standing
from echowarp.device.seams import Capture, Reason, Watch
from echowarp.errors import DeviceError
from echowarp.media.format import NS_PER_S, Format

_LATE_NS = 20_000_000
"""When the machine was busy for longer, a sink without a card does not catch up."""


class StandingSource(Standing[CardSource]):
    """Captures from a device, and silence while that is away.

    opener: opens it, a first time at once; presence: told when it goes and comes;
    make_watch: called once it runs, makes what says when it must be opened anew. Raises
    DeviceError.
    """

    waits_for_listener = False

    def __init__(
        self,
        opener: SourceOpener,
        *,
        presence: Presence,
        make_watch: Callable[[], Watch | None] = lambda: None,
    ) -> None:
        super().__init__(presence, make_watch)
        self._opener = opener
        self._card = opener.open()
        self._format = self._card.format
        self._continuity = Continuity(self._format)

    @property
    def format(self) -> Format:
        """The format of the blocks."""
        return self._format

    def start(
        self,
        deliver: Callable[[Capture], None],
        ended: Callable[[BaseException | None], None],
    ) -> None:
        """Begins delivery once the device has emptied what it had. Raises DeviceError."""
        self._deliver = deliver
        self._ended = ended
        self._begin()

    def _open(self) -> CardSource:
        return self._opener.open()

    @property
    def _name(self) -> str:
        return str(self._opener.had)

    def _start(self, card: CardSource) -> None:
        card.start(lambda capture: self._captured(card, capture), self._lose)

    def _report(self, error: BaseException | None) -> None:
        self._ended(error)

    def _captured(self, card: CardSource, capture: Capture) -> None:
        with self._lock:
            if card is not self._card:
                return
            joined = self._continuity.captured(capture)
            if self._filler is not None and not self._continuity.is_silent:
                self._has_joined()
            if joined is not None:
                self._deliver(joined)

    def _fill(self) -> None:
        with self._lock:
            self._continuity.fall_silent()
        while True:
            now_ns = time.monotonic_ns()
            with self._lock:
                if not self._is_filling:
                    return
                wait_ns = self._continuity.silence_due_ns(now_ns) - now_ns
                if wait_ns <= 0:
                    self._deliver(self._continuity.silence(now_ns))
            if wait_ns > 0:
                time.sleep(wait_ns / NS_PER_S)


class StandingSink(Standing[CardSink]):
    """Plays a stream on a device; while that is away, what would be played is pulled and
    thrown away.

    Arguments as of `StandingSource`. A device that the opener has had before is waited for
    from the start. Raises DeviceError.
    """

    def __init__(
        self,
        opener: SinkOpener,
        fmt: Format,
        *,
        presence: Presence,
        make_watch: Callable[[], Watch | None] = lambda: None,
    ) -> None:
        super().__init__(presence, make_watch)
        self._opener = opener
        self._format = fmt
        self._delay_ns: int | None = None
        try:
            self._card = opener.open(fmt)
        except DeviceError as error:
            if opener.had is None:
                raise
            self._trouble = Reason(str(error), is_move=False)

    def start(self, pull: Callable[[int], bytes], failed: Callable[[BaseException], None]) -> None:
        """Begins playback. Raises DeviceError."""
        self._pull = pull
        self._failed = failed
        self._begin()

    def delay_ns(self) -> int | None:
        """How long from a pull until the sound is heard, or was when it last was."""
        card = self._card
        if card is not None:
            self._delay_ns = card.delay_ns()
        return self._delay_ns

    def _open(self) -> CardSink:
        return self._opener.open(self._format)

    @property
    def _name(self) -> str:
        return str(self._opener.had)

    def _start(self, card: CardSink) -> None:
        card.start(lambda frames: self._pulled(card, frames), self._lose)

    def _report(self, error: BaseException | None) -> None:
        if error is not None:
            self._failed(error)

    def _pulled(self, card: CardSink, frames: int) -> bytes:
        with self._lock:
            if card is not self._card:
                return bytes(frames * self._format.frame_bytes)
            if self._filler is not None:
                self._has_joined()
            return self._pull(frames)

    def _fill(self) -> None:
        pacer = Pacer(
            self._format.rate, now_ns=time.monotonic_ns, wait=self._sleep, max_late_ns=_LATE_NS
        )
        while pacer.next(self._format.block_frames) is not None:
            with self._lock:
                if not self._is_filling:
                    return
                self._pull(self._format.block_frames)

    def _sleep(self, seconds: float) -> bool:
        time.sleep(seconds)
        return not self._is_filling
