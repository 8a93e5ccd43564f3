"""What a talker hears: in a call the other end's stream as it was sent, else the mix of
everybody and of the server's own stream."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from echowarp.app.ears import OnePlayback, Reception, format_of
from echowarp.app.mixed_playback import MixedPlayback
from echowarp.app.playback import Playback, Snapshot
from echowarp.app.reception import CaptureTime, ServerClock
from echowarp.app.talk_sinks import TalkSinks, Told
from echowarp.app.volume import Volume
from echowarp.config.settings import Settings
from echowarp.device.opening import OwnFormat
from echowarp.device.seams import PulledSink
from echowarp.media.arrivals import Counters
from echowarp.media.format import Format
from echowarp.media.target import Policy
from echowarp.session.inbox import Block, RepairPiece
from echowarp.session.streams import StreamTracker, begin, resume
from echowarp.session.uplink import SEAL_TAG_BYTES, SEALED_CODEC_BIT, is_sealed, relayed_format
from echowarp.wire.records import Stream

log = logging.getLogger(__name__)

CLOSE_S = 1.0
"""How long a sink may take to be done when another is to be opened."""
FULL_PERCENT = 100.0
MAX_KNOWN = 64
"""Of so many streams that have ended, and may still be played out, it is known whose they are."""


class TalkEars:
    """Plays what a talker hears into one sink after another.

    volume: of all that is played; card, own_format: as of TalkSinks. `announced`, `call`,
    `hang_up`, `session_over`, `play_out` and `close` are the control thread's.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        latency: Policy | int,
        volume: Volume,
        card: Callable[[Format], PulledSink],
        own_format: Callable[[], OwnFormat | None],
        told: Told,
    ) -> None:
        self._volume = volume
        self._told = told
        self._sinks = TalkSinks(
            settings,
            latency=latency,
            gain=volume.gain,
            card=card,
            own_format=own_format,
            told=told,
            opener=self._open,
        )
        self._users: Mapping[object, int] = {}
        """Whose each stream of this session is, replaced whole."""
        self._past_users: Mapping[object, int] = {}
        """Those of the last session, of which there may be sound to be opened still."""
        self._streams: dict[StreamTracker, bool] = {}
        """Those that run, and whether each is a lost one going on."""
        self._partner: int | None = None
        """Whom we are in a call with; 0, which is nobody's stream then, while they are away."""
        self._call: OnePlayback | None = None
        self._mix: MixedPlayback | None = None
        self._clock: ServerClock | None = None
        self._volumes: dict[int, float] = {}
        self._last: dict[str, StreamTracker] = {}
        self._played_out = threading.Event()
        self._closed = False
        self._past = Snapshot(counters=Counters())
        self.refuses: Callable[[Stream], bool] = lambda stream: False
        """Whether a stream is not to be played."""
        self.name_of: Callable[[int], str] = str
        """What a user is called."""

    @property
    def snapshot(self) -> Snapshot:
        """Of what is played now, or was last."""
        call, mix = self._call, self._mix
        if call is not None:
            return call.snapshot
        return self._past if mix is None else mix.snapshot

    @property
    def talkers(self) -> dict[int, Snapshot]:
        """What is known of each user's stream, by user id; 0: the server's own."""
        call, mix, users = self._call, self._mix, self._users
        if call is not None:
            user = self._user_of(call.tracker)
            return {} if user is None else {user: call.snapshot}
        if mix is None:
            return {}
        heard = tuple(mix.talkers.items())
        return {users[stream]: each for stream, each in heard if stream in users}

    def jitter_ns(self, user: int) -> float | None:
        """How unevenly a user's packets come; None where nothing is heard of it."""
        of_user = (each for each, of in self._users.items() if of == user)
        jitters = [each.jitter_ns for each in of_user if isinstance(each, StreamTracker)]
        return jitters[-1] if jitters else None

    @property
    def played_out(self) -> bool:
        """Whether the call's last sound has left."""
        return self._played_out.is_set()

    def announced(self, stream: Stream, now_ns: int) -> StreamTracker:
        """As of Ears."""
        tracker, continued = self._follow(stream, now_ns)
        old = tuple(self._users)[:-MAX_KNOWN]
        users = {t: user for t, user in self._users.items() if t in self._streams or t not in old}
        self._users = {**users, tracker: stream.user}
        for other, user in tuple(self._users.items()):
            if user == stream.user and other is not tracker and other in self._streams:
                del self._streams[other]
        self._streams[tracker] = continued
        if self.refuses(stream):
            self._users = {each: u for each, u in self._users.items() if each is not tracker}
            del self._streams[tracker]
        else:
            self._play(tracker)
        return tracker

    def _follow(self, stream: Stream, now_ns: int) -> tuple[StreamTracker, bool]:
        name = self.name_of(stream.user)
        lost = self._last.get(name)
        plain = replace(stream, codec=stream.codec & ~SEALED_CODEC_BIT)
        tracker = None if lost is None else resume(plain, lost, now_ns)
        continued = tracker is not None
        if tracker is None:
            tracker = begin(plain, now_ns)
        if is_sealed(stream):
            relayed_format(stream)
            tracker.seal_bytes = SEAL_TAG_BYTES
        self._last[name] = tracker
        log.debug("%s: %s%s", name, format_of(tracker), ", going on" if continued else "")
        return tracker, continued

    def _play(self, tracker: StreamTracker) -> None:
        """Plays a stream where it belongs, if it does anywhere now."""
        user, continued = self._users[tracker], self._streams[tracker]
        if self._call is not None:
            if user and user == self._partner:
                self._played_out.clear()
                self._call.play(tracker, continued=continued)
                log.info("stream: %s", format_of(tracker))
        elif not self._closed:
            sealed = bool(tracker.seal_bytes)
            mix = self._mixed()
            mix.hear(tracker, user, format_of(tracker), continued=continued, sealed=sealed)

    def call(self, partner: int) -> None:
        """We are in a call with that user, 0 while it is away."""
        if self._call is None:
            self._close_mix()
            self._played_out.clear()
            self._call = OnePlayback(
                self._sinks.one,
                asked=self._told.asked,
                settled=self._told.settled,
                played_out=self._played_out.set,
                enough=self._told.enough,
                failed=self._told.failed,
            )
            if self._clock is not None:
                self._call.clock(self._clock)
        if partner != self._partner:
            self._partner = partner
            self._set_call_volume()
            for tracker in tuple(self._streams):
                if self._users[tracker] == partner:
                    self._play(tracker)

    def hang_up(self) -> None:
        """The call is over: everybody else is heard again."""
        call, self._call = self._call, None
        partner, self._partner = self._partner, None
        self._set_call_volume()
        self._streams = {
            each: on for each, on in self._streams.items() if self._users[each] != partner
        }
        if call is not None:
            self._past = call.snapshot
            self._close_playback(call.playback)
        for tracker in tuple(self._streams):
            self._play(tracker)

    def session_over(self) -> None:
        """The session is over: users have other ids in the next. What has come is played."""
        if self._mix is not None:
            self._mix.session_over()
        self._past_users, self._users = self._users, {}
        self._streams.clear()
        self._volumes.clear()
        if self._partner is not None:
            self._partner = 0

    def set_volume(self, user: int, percent: float) -> None:
        """How loud a user is played."""
        self._volumes[user] = percent
        self._set_call_volume()
        if self._mix is not None:
            self._mix.set_volume(user, percent)

    def _set_call_volume(self) -> None:
        """A mix does it for each; the other end of a call has the sink alone."""
        if self._partner is None:
            self._volume.partner_percent = FULL_PERCENT
        elif self._partner:
            # One that was away comes back under another id, and is set anew.
            self._volume.partner_percent = self._volumes.get(self._partner, FULL_PERCENT)

    def arrived(self, block: Block, at_ns: int) -> None:
        """As of Ears."""
        call, mix = self._call, self._mix
        if call is not None:
            call.arrived(block, at_ns)
        elif mix is not None:
            mix.arrived(block, at_ns)

    def row(self, piece: RepairPiece, at_ns: int) -> None:
        """As of Ears."""
        call, mix = self._call, self._mix
        if call is not None:
            call.row(piece, at_ns)
        elif mix is not None:
            mix.row(piece, at_ns)

    def clock(self, clock: ServerClock) -> None:
        """As of Ears."""
        self._clock = clock
        for playback in (self._call, self._mix):
            if playback is not None:
                playback.clock(clock)

    def captured(self, stream: StreamTracker, capture: CaptureTime) -> None:
        """As of Ears."""
        call, mix = self._call, self._mix
        if call is not None:
            if stream is call.tracker:
                call.captured(stream, capture)
        elif mix is not None:
            mix.capture(stream, capture)

    def ended(self, stream: StreamTracker, seq: int) -> None:
        """As of Ears."""
        self._streams.pop(stream, None)
        # What its talker sends next is another stream, however it counts.
        self._last = {name: each for name, each in self._last.items() if each is not stream}
        call, mix = self._call, self._mix
        if call is not None and stream is call.tracker:
            call.ended(stream, seq)
        elif call is None and mix is not None and stream in self._users:
            mix.end(stream, seq)
        else:
            self._told.settled(stream)

    def reception(self, stream: StreamTracker) -> Reception | None:
        """As of Ears."""
        call, mix = self._call, self._mix
        known: Snapshot | None = None
        if call is not None:
            known = call.snapshot if stream is call.tracker else None
        elif mix is not None:
            known = mix.talkers.get(stream)
        return None if known is None else Reception(known.guard_ns, known.target_ns)

    def play_out(self, seconds: float) -> None:
        """No session follows: returns when all that has come has been played, or after so
        long. `close` hurries it."""
        call, mix = self._call, self._mix
        if call is not None:
            tracker = call.tracker
            if tracker is None:
                return
            if tracker in self._last.values():
                call.ended(tracker, tracker.newest.seq + 1)
        elif mix is not None:
            self._played_out.clear()
            mix.finish(self._played_out.set)
        else:
            return
        self._played_out.wait(seconds)

    def close(self, hurried: Callable[[], bool]) -> None:
        """Completes what is open, for good."""
        self._closed = True
        self._played_out.set()
        call, mix = self._call, self._mix
        if call is not None:
            call.playback.close(hurried)
        if mix is not None:
            mix.close(hurried)

    def _close_playback(self, playback: Playback | MixedPlayback) -> None:
        until = time.monotonic() + CLOSE_S
        playback.close(lambda: time.monotonic() > until)

    def _close_mix(self) -> None:
        mix, self._mix = self._mix, None
        if mix is not None:
            self._past = mix.snapshot
            self._close_playback(mix)

    def _mixed(self) -> MixedPlayback:
        if self._mix is None:
            mix = self._mix = self._sinks.mixed()
            if self._clock is not None:
                mix.clock(self._clock)
            for user, percent in self._volumes.items():
                mix.set_volume(user, percent)
        return self._mix

    def _open(self, stream: object, seq: int, at: int, payload: bytes) -> bytes | None:
        return self._told.opener(self._user_of(stream) or 0, seq, at, payload)

    def _user_of(self, stream: object) -> int | None:
        user = self._users.get(stream)
        return self._past_users.get(stream) if user is None else user
