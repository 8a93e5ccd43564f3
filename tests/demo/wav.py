"""Reads WAV files for the tests, by its own reading of the format.

A recording must not be judged by the code that wrote it, so nothing of
`echowarp.device` is used here; only the arithmetic of sample encodings is shared.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from echowarp.media.pcm import SampleEncoding, to_s16

_INTEGER, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_IN_DS64 = 0xFFFF_FFFF


class WavError(Exception):
    """The file is not a WAV file of plain samples, or is cut short."""


class WavReader:
    """The samples of a RIFF or RF64 WAV file, as interleaved s16le, streamed.

    rate: frames a second; channels and encoding: as in the file; frames: how many.
    Raises WavError for anything else, OSError where it cannot be read.
    """

    rate: int
    channels: int
    frames: int
    encoding: SampleEncoding

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb")
        try:
            size_bytes = self._find_data()
        except BaseException:
            self._file.close()
            raise
        self._frame_bytes = self.channels * self.encoding.sample_bytes
        self.frames = self._left_frames = size_bytes // self._frame_bytes

    def _find_data(self) -> int:
        """Reads the chunks up to the samples. Returns how many bytes of them follow."""
        kind, _, wave = struct.unpack("<4sI4s", self._exactly(12))
        if kind not in (b"RIFF", b"RF64") or wave != b"WAVE":
            raise WavError(f"{self._path} is not a WAV file")
        data_in_ds64, has_format = None, False
        while True:
            name, size_bytes = struct.unpack("<4sI", self._exactly(8))
            if name == b"data":
                break
            body = self._exactly(size_bytes + size_bytes % 2)
            if name == b"ds64":
                data_in_ds64 = int.from_bytes(body[8:16], "little")
            elif name == b"fmt ":
                self._read_format(body)
                has_format = True
        if not has_format:
            raise WavError(f"{self._path} has no format before its samples")
        if size_bytes == _IN_DS64 and data_in_ds64 is not None:
            return data_in_ds64
        return int(size_bytes)

    def _read_format(self, body: bytes) -> None:
        tag, self.channels, self.rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
        if tag == _EXTENSIBLE:
            (tag,) = struct.unpack_from("<H", body, 24)
        name = {_INTEGER: "u8" if bits == 8 else f"s{bits}", _FLOAT: f"f{bits}"}.get(tag, "")
        try:
            self.encoding = SampleEncoding(name)
        except ValueError:
            raise WavError(f"{self._path}: format {tag} of {bits} bits is unknown") from None

    def _exactly(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) != count:
            raise WavError(f"{self._path} is cut short")
        return data

    def read(self, frames: int) -> bytes:
        """Up to `frames` frames of s16le; empty at the end of the samples."""
        wanted = min(frames, self._left_frames)
        self._left_frames -= wanted
        return to_s16(self._exactly(wanted * self._frame_bytes), self.encoding)

    def blocks(self, frames: int) -> Iterator[bytes]:
        """The rest in blocks of `frames` frames, the last one as short as it is."""
        while block := self.read(frames):
            yield block

    def __enter__(self) -> WavReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
