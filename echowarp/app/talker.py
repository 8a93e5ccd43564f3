"""Makes all that a client with a nickname has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from echowarp.app.client import Client
from echowarp.app.ends import open_source
from echowarp.app.supervisor import Supervisor
from echowarp.app.talk import Talk
from echowarp.app.talk_ears import TalkEars
from echowarp.app.talk_sinks import Told
from echowarp.app.talk_words import described
from echowarp.app.voice import Voice
from echowarp.app.volume import Volume
from echowarp.config.settings import Settings
from echowarp.crypto.password import encode_password
from echowarp.device.opening import OwnFormat
from echowarp.device.returning import Presence as DevicePresence
from echowarp.device.seams import PulledSink
from echowarp.errors import ConfigError
from echowarp.media.agc import AutomaticGain
from echowarp.media.format import MAX_PAYLOAD_BYTES, Format
from echowarp.media.gate import NoiseGate
from echowarp.media.target import Policy
from echowarp.session.company import Company
from echowarp.session.names import parse_name
from echowarp.session.speech import THRESHOLD, Mode, Speech
from echowarp.session.uplink import SEAL_TAG_BYTES

NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Talker:
    """A client's talk with its voice (None for who only hears) and its ears."""

    talk: Talk
    voice: Voice | None
    speech: Speech
    mode: Mode
    ears: TalkEars

    def close(self, hurried: Callable[[], bool]) -> None:
        """Stops source and sinks."""
        if self.voice is not None:
            self.voice.stop()
        self.ears.close(hurried)

    def listed(self) -> list[str]:
        """Everybody, a line each."""
        return [described(each) for each in self.talk.view.users.values()] or ["nobody else"]


def make_talker(
    settings: Settings,
    *,
    latency: Policy | int,
    volume: Volume,
    card: Callable[[Format], PulledSink],
    own_format: Callable[[], OwnFormat | None],
    client: Callable[[], Client],
    supervisor: Supervisor,
) -> Talker:
    """client: it is made from what this gives. Raises ConfigError and DeviceError."""
    assert settings.nickname is not None
    name = parse_name(settings.nickname, "nickname").shown
    call = "" if settings.call is None else parse_name(settings.call, "name to call").shown
    room = "" if settings.room is None else parse_name(settings.room, "room").shown
    speech, mode = _speech(settings)
    voice = _voice(settings, speech, lambda: client().wake(), supervisor.fail)
    ears = TalkEars(
        settings,
        latency=latency,
        volume=volume,
        card=card,
        own_format=own_format,
        told=Told(
            asked=lambda stream, requests: client().request(stream, requests),
            settled=lambda stream: client().settled(stream),
            enough=supervisor.stop,
            failed=supervisor.fail,
            opener=lambda user, seq, at, payload: talk.open_payload(user, seq, at, payload),
        ),
    )
    talk = Talk(
        Company(name=name, call=call, room=room),
        voice=voice,
        ears=ears,
        speech=speech,
        code=None if settings.e2e is None else encode_password(settings.e2e),
        auto_answer=settings.auto_answer,
        only_call=settings.call is not None,
        wake=lambda: client().wake(),
    )
    return Talker(talk=talk, voice=voice, speech=speech, mode=mode, ears=ears)


def _speech(settings: Settings) -> tuple[Speech, Mode]:
    threshold, mode = settings.voice_activation, Mode.OPEN
    if settings.push_to_talk:
        mode = Mode.PUSH
    elif threshold is not None:
        mode = Mode.VOICE
    speech = Speech(
        mode,
        muted=settings.muted,
        threshold=THRESHOLD if threshold is None else threshold,
        hang_over_ns=settings.hang_over * NS_PER_MS,
    )
    return speech, mode


def _voice(
    settings: Settings,
    speech: Speech,
    wake: Callable[[], None],
    failed: Callable[[BaseException], None],
) -> Voice | None:
    source = open_source(settings, DevicePresence())
    if source is None:
        return None
    fmt = source.format
    if settings.e2e is not None and fmt.block_bytes + SEAL_TAG_BYTES > MAX_PAYLOAD_BYTES:
        source.stop()
        most_ms = (MAX_PAYLOAD_BYTES - SEAL_TAG_BYTES) // fmt.frame_bytes * 1000 / fmt.rate
        raise ConfigError(
            f"--e2e: sealed blocks of {fmt} do not fit a packet: give --block_ms {most_ms:.1f}"
        )
    return Voice(
        source,
        gain=AutomaticGain(fmt, on=settings.agc),
        gate=NoiseGate(fmt, on=settings.gate),
        speech=speech,
        wake=wake,
        failed=failed,
    )
