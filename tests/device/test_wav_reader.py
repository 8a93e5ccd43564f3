from __future__ import annotations

import os
import random
import struct
import wave
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.device.wav_reader import WavReader
from echowarp.errors import ConfigError
from echowarp.media.pcm import SampleEncoding, to_s16
from tests.device.wavs import GUID_TAIL, chunk, fmt, riff, wav

PCM = random.Random(1).randbytes(4000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.wav"


def read_all(path: Path, step: int = 7) -> bytes:
    reader = WavReader(str(path))
    try:
        return b"".join(iter(lambda: reader.read(step), b""))
    finally:
        reader.close()


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        WavReader(str(path))
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    return text


def test_what_the_standard_library_writes(path: Path) -> None:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(44100)
        out.writeframes(PCM)
    reader = WavReader(str(path))
    assert (reader.rate, reader.channels, reader.frames, reader.truncated) == (
        44100,
        2,
        1000,
        False,
    )
    assert reader.read(1000) == PCM
    assert reader.read(1000) == b""
    reader.rewind()
    assert reader.read(1) == PCM[:4]
    reader.close()
    reader.close()


@pytest.mark.parametrize("extensible", [False, True])
@pytest.mark.parametrize(
    ("tag", "bits", "encoding"),
    [
        (1, 8, SampleEncoding.U8),
        (1, 16, SampleEncoding.S16),
        (1, 20, SampleEncoding.S24),
        (1, 24, SampleEncoding.S24),
        (1, 32, SampleEncoding.S32),
        (3, 32, SampleEncoding.F32),
        (3, 64, SampleEncoding.F64),
    ],
)
def test_every_encoding(
    path: Path, tag: int, bits: int, encoding: SampleEncoding, extensible: bool
) -> None:
    size = 24 * 50 * 3
    if tag == 3:
        count = size * 8 // bits
        code = "f" if bits == 32 else "d"
        data = struct.pack(f"<{count}{code}", *(n / count - 0.5 for n in range(count)))
    else:
        data = PCM[:size]
    head = fmt(tag=tag, bits=bits, channels=3, extensible=extensible)
    path.write_bytes(riff(head, chunk(b"data", data)))
    assert read_all(path) == to_s16(data, encoding)


def test_unknown_chunks_of_odd_size_are_skipped(path: Path) -> None:
    odd = chunk(b"LIST", b"odd")
    path.write_bytes(riff(odd, fmt(), odd, chunk(b"fact", b"1234"), chunk(b"data", PCM), odd))
    assert read_all(path) == PCM


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFDB])
@pytest.mark.parametrize("riff_size", [0, 0xFFFFFFFF])
def test_a_stream_that_could_not_go_back_to_its_header(
    path: Path, size: int, riff_size: int
) -> None:
    path.write_bytes(riff(fmt(), chunk(b"data", PCM, size), size=riff_size) + b"\1\2\3")
    assert read_all(path) == PCM
    assert WavReader(str(path)).truncated is False


def test_rf64(path: Path) -> None:
    ds64 = chunk(b"ds64", struct.pack("<QQQI", 0, len(PCM), len(PCM) // 4, 0))
    data = chunk(b"data", PCM, 0xFFFFFFFF)
    tail = chunk(b"LIST", b"not sound")
    for kind in (b"RF64", b"BW64"):
        path.write_bytes(riff(ds64, fmt(), data, tail, size=0xFFFFFFFF, kind=kind))
        assert read_all(path) == PCM


def test_a_truncated_file_gives_its_whole_frames(path: Path) -> None:
    whole = wav(PCM)
    for missing in (1, 3, 4, 5, 3990):
        path.write_bytes(whole[:-missing])
        reader = WavReader(str(path))
        assert reader.truncated
        assert reader.frames == (4000 - missing) // 4
        assert reader.read(2000) == PCM[: reader.frames * 4]
        reader.close()


def test_cut_at_every_byte_of_the_header(path: Path) -> None:
    whole = riff(chunk(b"LIST", b"odd"), fmt(extensible=True), chunk(b"data", PCM))
    header = len(whole) - len(PCM)
    for length in range(header + 4):
        path.write_bytes(whole[:length])
        refusal(path)
    path.write_bytes(whole[: header + 4])
    assert read_all(path) == PCM[:4]


def test_a_file_cut_while_it_is_read_just_ends(path: Path) -> None:
    pcm = PCM * 10
    path.write_bytes(wav(pcm))
    reader = WavReader(str(path))
    assert reader.read(10) == pcm[:40]
    os.truncate(path, 20_002)
    rest = reader.read(9000)
    assert 0 < len(rest) < 9000 * 4
    assert rest == pcm[40:][: len(rest)]
    assert reader.read(10) == b""
    reader.close()


@given(
    st.one_of(
        st.binary(max_size=200), st.binary(max_size=120).map(lambda b: b"RIFF\0\0\0\0WAVE" + b)
    )
)
def test_random_bytes_are_refused_or_read(
    tmp_path_factory: pytest.TempPathFactory, b: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.wav"
    path.write_bytes(b)
    try:
        reader = WavReader(str(path))
    except ConfigError as error:
        assert "\n" not in str(error)
    else:
        assert len(reader.read(1000)) >= 2
        reader.close()


@given(st.integers(0, 43), st.integers(0, 255))
def test_any_wrong_byte_in_the_header(
    tmp_path_factory: pytest.TempPathFactory, at: int, value: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "wrong.wav"
    data = bytearray(wav(PCM))
    data[at] = value
    path.write_bytes(data)
    try:
        reader = WavReader(str(path))
    except ConfigError:
        return
    reader.read(10_000)
    reader.close()


def test_refusals(path: Path, tmp_path: Path) -> None:
    assert "no such file" in refusal(path)
    assert "is a folder" in refusal(tmp_path)
    os.mkfifo(tmp_path / "fifo.wav")
    assert "not a regular file" in refusal(tmp_path / "fifo.wav")
    path.write_bytes(b"")
    assert "empty" in refusal(path)
    path.write_text("Dear diary, today I made no sound at all.")
    assert "is not a WAV file" in refusal(path)
    path.write_bytes(wav(b""))
    assert "no sound" in refusal(path)
    path.write_bytes(riff(fmt(), chunk(b"data", b""), chunk(b"LIST", PCM)))
    assert "no sound" in refusal(path)
    path.write_bytes(riff(chunk(b"data", PCM), fmt()))
    assert "no format" in refusal(path)
    with pytest.raises(ConfigError):
        WavReader("with\0null.wav")


@pytest.mark.parametrize(
    ("format", "words"),
    [
        ({"tag": 0x11, "bits": 4}, "IMA ADPCM, format tag 0x0011"),
        ({"tag": 0x55, "bits": 0}, "MP3, format tag 0x0055"),
        ({"tag": 0x1234}, "(format tag 0x1234)"),
        ({"tag": 6, "bits": 8, "extensible": True}, "A-law, format tag 0x0006"),
        ({"channels": 0}, "0 channels"),
        ({"channels": 9}, "9 channels"),
        ({"rate": 7999}, "7999 Hz"),
        ({"rate": 192001}, "192001 Hz"),
        ({"bits": 0}, "0-bit integer"),
        ({"bits": 64}, "64-bit integer"),
        ({"tag": 3, "bits": 16}, "16-bit float"),
    ],
)
def test_formats_that_cannot_be_sent(path: Path, format: dict[str, int], words: str) -> None:
    path.write_bytes(wav(PCM, **format))
    assert words in refusal(path)


def test_an_extensible_format_of_another_family(path: Path) -> None:
    head = bytearray(fmt(extensible=True))
    head[-len(GUID_TAIL) :] = bytes(len(GUID_TAIL))
    path.write_bytes(riff(bytes(head), chunk(b"data", PCM)))
    assert "0xfffe" in refusal(path)
