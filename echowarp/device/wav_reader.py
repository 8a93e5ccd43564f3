"""Reads WAV files (RIFF, RF64) from disk as signed 16-bit PCM, a piece at a time."""

from __future__ import annotations

import os
import stat
import struct
from dataclasses import dataclass
from typing import BinaryIO

from echowarp.errors import ConfigError
from echowarp.media.format import MAX_CHANNELS, MAX_RATE, MIN_CHANNELS, MIN_RATE
from echowarp.media.pcm import SampleEncoding, to_s16

_TAG_PCM, _TAG_FLOAT, _TAG_EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
_MEDIA_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
"""What follows the format tag in the GUID of an extensible format."""

_TAG_NAMES = {
    0x0002: "Microsoft ADPCM",
    0x0006: "A-law",
    0x0007: "mu-law",
    0x0011: "IMA ADPCM",
    0x0031: "GSM 6.10",
    0x0050: "MPEG",
    0x0055: "MP3",
    0x00FF: "AAC",
    0x0161: "Windows Media Audio",
    0x674F: "Ogg Vorbis",
    0xF1AC: "FLAC",
}

_IN_DS64 = 0xFFFFFFFF
_PIPED_BITS = 0x7FFFF000
"""A data size with all these bits, if larger than the file, is what programs that write
to a pipe put where they cannot know the size: some page below 2 or 4 GiB."""

_INTEGERS = {
    1: SampleEncoding.U8,
    2: SampleEncoding.S16,
    3: SampleEncoding.S24,
    4: SampleEncoding.S32,
}
_FLOATS = {4: SampleEncoding.F32, 8: SampleEncoding.F64}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """What a file's header says: how its frames are stored, and where."""

    rate: int
    channels: int
    encoding: SampleEncoding
    data_start: int
    data_bytes: int
    truncated: bool

    @property
    def frame_bytes(self) -> int:
        return self.channels * self.encoding.sample_bytes


class WavReader:
    """An open WAV file: 8, 16, 24, 32-bit integer or 32, 64-bit float PCM.

    rate: frames a second; channels: 1..8; frames: whole frames that the file holds;
    truncated: the header promises more than the file holds. opened: the file itself, if it
    is none of the disk, and its bytes, as many as there may be where that is unknown; path
    is then only what it is called.

    Raises ConfigError (one line) when the file is missing, not a readable regular
    file, not a WAV, compressed, empty or of a format that cannot be sent.
    """

    def __init__(self, path: str, opened: tuple[BinaryIO, int] | None = None) -> None:
        self._path = path
        self._file = _open(path) if opened is None else opened[0]
        try:
            file_bytes = os.fstat(self._file.fileno()).st_size if opened is None else opened[1]
            layout = _read_header(self._file, file_bytes, path)
        except ConfigError:
            self._file.close()
            raise
        except OSError as error:
            self._file.close()
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        self._layout = layout
        self.rate = layout.rate
        self.channels = layout.channels
        self.frames = layout.data_bytes // layout.frame_bytes
        self.truncated = layout.truncated
        self._frames_left = self.frames

    def read(self, frames: int) -> bytes:
        """The next `frames` frames as s16le; fewer at the end, none after it.

        Raises ConfigError when the file cannot be read any more.
        """
        frame_bytes = self._layout.frame_bytes
        wanted = min(frames, self._frames_left) * frame_bytes
        try:
            data = self._file.read(wanted)
        except OSError as error:
            raise ConfigError(f"{self._path}: cannot be read: {error.strerror}") from error
        got = len(data) // frame_bytes
        # Fewer than the header and the size promised: someone cut the file meanwhile.
        self._frames_left = self._frames_left - got if len(data) == wanted else 0
        return to_s16(data[: got * frame_bytes], self._layout.encoding)

    def rewind(self, to_frame: int = 0) -> None:
        """Goes to a frame, to the end where there are not so many."""
        to_frame = min(to_frame, self.frames)
        self._file.seek(self._layout.data_start + to_frame * self._layout.frame_bytes)
        self._frames_left = self.frames - to_frame

    def close(self) -> None:
        """Closes the file. Idempotent."""
        self._file.close()


def _open(path: str) -> BinaryIO:
    try:
        # Looked at before it is opened: opening a named pipe would wait for its writer.
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise ConfigError(f"{path}: is a folder, not a WAV file")
        if not stat.S_ISREG(mode):
            raise ConfigError(f"{path}: is not a regular file; to read from a pipe use '-'")
        return open(path, "rb")
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"{path}: cannot be read: {reason}") from error


def _read_header(file: BinaryIO, file_bytes: int, path: str) -> _Layout:
    start = file.read(12)
    kind = start[:4]
    if file_bytes == 0:
        raise ConfigError(f"{path}: the file is empty")
    if len(start) < 12 or kind not in (b"RIFF", b"RF64", b"BW64") or start[8:] != b"WAVE":
        raise ConfigError(f"{path}: is not a WAV file")
    riff_bytes = int.from_bytes(start[4:8], "little")
    ds64_data_bytes: int | None = None
    fmt: bytes | None = None
    while len(head := file.read(8)) == 8:
        name, size = head[:4], int.from_bytes(head[4:], "little")
        if name == b"data":
            if fmt is None:
                raise ConfigError(f"{path}: is not a WAV file: no format before the data")
            if kind != b"RIFF" and size == _IN_DS64 and ds64_data_bytes is not None:
                size = ds64_data_bytes
            declared_end = riff_bytes + 8 == file_bytes
            return _layout(fmt, size, file.tell(), file_bytes, declared_end, path)
        # A size that lies must not make us read a whole disk into memory.
        body = file.read(min(size, 64)) if name in (b"fmt ", b"ds64") else b""
        if name == b"fmt ":
            fmt = body
        elif name == b"ds64" and len(body) >= 16:
            ds64_data_bytes = int(struct.unpack_from("<Q", body, 8)[0])
        file.seek(size + size % 2 - len(body), os.SEEK_CUR)
    raise ConfigError(f"{path}: the file ends before its sound begins")


def _layout(
    fmt: bytes, size: int, data_start: int, file_bytes: int, declared_end: bool, path: str
) -> _Layout:
    rate, channels, encoding = _parse_format(fmt, path)
    present = file_bytes - data_start
    # 0 is left by a writer that could not go back; unless the rest of the header is
    # right, and then the file really is empty and something else follows.
    open_ended = (size == 0 and not declared_end) or (
        size > present and size & _PIPED_BITS == _PIPED_BITS
    )
    truncated = size > present and not open_ended
    data_bytes = present if open_ended else min(size, present)
    if data_bytes < channels * encoding.sample_bytes:
        raise ConfigError(f"{path}: the file holds no sound (not one frame)")
    return _Layout(
        rate=rate,
        channels=channels,
        encoding=encoding,
        data_start=data_start,
        data_bytes=data_bytes,
        truncated=truncated,
    )


def _parse_format(fmt: bytes, path: str) -> tuple[int, int, SampleEncoding]:
    if len(fmt) < 16:
        raise ConfigError(f"{path}: is not a WAV file: its format is cut short")
    tag, channels, rate, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", fmt)
    if tag == _TAG_EXTENSIBLE and len(fmt) >= 40 and fmt[26:40] == _MEDIA_GUID_TAIL:
        tag = int.from_bytes(fmt[24:26], "little")
    if tag not in (_TAG_PCM, _TAG_FLOAT):
        name = f"{_TAG_NAMES[tag]}, " if tag in _TAG_NAMES else ""
        raise ConfigError(
            f"{path}: is compressed ({name}format tag 0x{tag:04x}); convert it to PCM first"
        )
    if not MIN_CHANNELS <= channels <= MAX_CHANNELS:
        raise ConfigError(
            f"{path}: has {channels} channels; {MIN_CHANNELS} to {MAX_CHANNELS} can be sent"
        )
    if not MIN_RATE <= rate <= MAX_RATE:
        raise ConfigError(
            f"{path}: has a sample rate of {rate} Hz; {MIN_RATE} to {MAX_RATE} can be sent"
        )
    kinds = _INTEGERS if tag == _TAG_PCM else _FLOATS
    sample_bytes = frame_bytes // channels
    if frame_bytes % channels or sample_bytes not in kinds or not 0 < bits <= 8 * sample_bytes:
        what = "integer" if tag == _TAG_PCM else "float"
        raise ConfigError(f"{path}: {bits}-bit {what} samples are not supported; convert it first")
    return rate, channels, kinds[sample_bytes]
