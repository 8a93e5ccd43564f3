"""What goes in comes out, to the last bit, first frame to last."""

from __future__ import annotations

import struct
import subprocess
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from echowarp.media.pcm import SampleEncoding, to_s16
from tests.processes import PASSWORD, Stage
from tests.recordings import read_pcm, speech_wav


def wav_file(path: Path, *, tag: int, bits: int, rate: int, channels: int, data: bytes) -> None:
    """Writes a WAV file of any encoding: 1 is integer, 3 float."""
    frame_bytes = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * frame_bytes, frame_bytes, bits)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)


def in_24_bits(samples: npt.NDArray[np.int64]) -> bytes:
    """Samples of 24 bits, packed."""
    return (samples << 8).astype("<i4").view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()


def encoded(pcm: bytes) -> dict[str, tuple[int, int, bytes]]:
    """The sound in each encoding that needs converting: (tag, bits, data)."""
    samples = np.frombuffer(pcm, "<i2").astype(np.int64)
    low_bits = np.random.RandomState(1).randint(0, 256, len(samples))
    return {
        "u8": (1, 8, ((samples >> 8) + 128).astype(np.uint8).tobytes()),
        "s24": (1, 24, in_24_bits((samples << 8) + low_bits)),
        "s32": (1, 32, ((samples << 16) + low_bits).astype("<i4").tobytes()),
        "f32": (3, 32, (samples / 30_000).astype("<f4").tobytes()),
    }


def test_sources_of_every_kind(tmp_path: Path) -> None:
    """Other encodings arrive converted as the reference does; other rates and channel
    counts as they are."""
    kinds = {"mono": (48_000, 1), "cd": (44_100, 2), "six": (16_000, 6), "fast": (96_000, 2)}
    sounds = {
        name: (
            rate,
            channels,
            speech_wav(tmp_path / f"{name}.wav", 2, rate=rate, channels=channels),
        )
        for name, (rate, channels) in kinds.items()
    }
    for name, (tag, bits, data) in encoded(sounds["mono"][2]).items():
        path = tmp_path / f"{name}.wav"
        wav_file(path, tag=tag, bits=bits, rate=48_000, channels=1, data=data)
        sounds[name] = (48_000, 1, to_s16(data, SampleEncoding(name)))
    stages = []
    try:
        for name in sounds:
            stage = Stage(tmp_path / name)
            stages.append(stage)
            stage.server(source=tmp_path / f"{name}.wav", ready=False)
        for stage in stages:
            stage.programs[0].says("listening on port")
            stage.client(sink="got.wav")
        for (name, sound), stage in zip(sounds.items(), stages, strict=True):
            assert [program.ends() for program in stage.programs] == [0, 0], (name, stage.said())
            assert read_pcm(stage.folder / "got.wav") == sound, name
    finally:
        for stage in stages:
            stage.close()


def test_from_standard_input_to_standard_output(stage: Stage) -> None:
    """Through both pipes pass exactly the bytes, and nothing else."""
    pcm = speech_wav(stage.folder / "in.wav", 2.0, rate=44_100, channels=1)[:-246]
    server = stage.server(
        "--ssl", "--sample_rate", "44100", "--channels", "1", source="-", stdin=subprocess.PIPE
    )
    client = stage.client(sink="-", stdout=subprocess.PIPE)
    client.says("stream:")
    assert server.process.stdin is not None and client.process.stdout is not None
    server.process.stdin.write(pcm)
    server.process.stdin.close()
    assert client.process.stdout.read() == pcm
    assert (server.ends(), client.ends()) == (0, 0)
    assert server.out.read_bytes() == b""


def test_loop_has_no_seam(stage: Stage) -> None:
    """A length that is no whole number of blocks goes round; --duration ends it."""
    frames = 31_337
    pcm = speech_wav(stage.folder / "in.wav", 1.0)[: frames * 4]
    with wave.open(str(stage.folder / "round.wav"), "wb") as file:
        file.setparams((2, 2, 48_000, 0, "NONE", ""))
        file.writeframes(pcm)
    server = stage.server("--loop", source="round.wav")
    client = stage.client("--duration", "2.25", sink="got.wav")
    assert client.ends() == 0
    _, _, got = read_pcm(stage.folder / "got.wav")
    wanted = pcm * 4
    assert len(got) == 4 * 108_000
    assert got == wanted[: len(got)]
    assert server.running
    assert server.leave() == 0


class TestDuration:
    def test_of_the_server_ends_both(self, stage: Stage) -> None:
        pcm = speech_wav(stage.folder / "in.wav", 3)
        server = stage.server("--duration", "1.503", source="in.wav")
        clients = [stage.client(sink=f"{n}.wav") for n in range(2)]
        assert server.ends() == 0
        assert [client.ends() for client in clients] == [0, 0]
        got = [read_pcm(stage.folder / f"{n}.wav")[2] for n in range(2)]
        longest = max(got, key=len)
        # The one that opened the stream has all of it; the other may have come later.
        assert longest == pcm[: round(1.503 * 48_000) * 4]
        assert all(longest.endswith(each) for each in got)

    def test_of_the_client_is_to_the_frame(self, stage: Stage) -> None:
        pcm = speech_wav(stage.folder / "in.wav", 3)
        stage.server(source="in.wav")
        client = stage.client("--duration", "1.0013", sink="-")
        assert client.ends() == 0
        assert client.out.read_bytes() == pcm[: round(1.0013 * 48_000) * 4]


@pytest.mark.parametrize("block_ms", ["2.5", "10"])
def test_other_lengths_of_a_block(stage: Stage, block_ms: str) -> None:
    """10 ms do not fit a packet at 48 kHz stereo: said once, and shorter ones are sent."""
    pcm = speech_wav(stage.folder / "in.wav", 1)
    server = stage.server("--block_ms", block_ms, source="in.wav")
    client = stage.client(sink="got.wav")
    assert (client.ends(), server.ends()) == (0, 0)
    assert read_pcm(stage.folder / "got.wav") == (48_000, 2, pcm)
    assert server.said.count("would not fit a packet") == (block_ms == "10")


def test_a_password_of_any_alphabet(stage: Stage) -> None:
    word = "пароль 密碼\u00a0é"
    server = stage.server(source="tone", password=word)
    client = stage.client("--duration", "0.2", password=word.replace("\u00a0", " "))
    assert client.ends() == 0, client.said
    assert PASSWORD not in server.said
