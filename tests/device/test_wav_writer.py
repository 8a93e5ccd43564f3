from __future__ import annotations

import json
import os
import random
import signal
import struct
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from echowarp.device.wav_reader import WavReader
from echowarp.device.wav_writer import WavSink, check_writable, next_name
from echowarp.errors import ConfigError, StorageError
from echowarp.media.format import Format

FORMAT = Format.for_blocks(rate=8000, channels=2, block_ms=5)
SECOND_BYTES = 8000 * 4
PCM = random.Random(2).randbytes(4 * SECOND_BYTES)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "a.wav")


def write_blocks(sink: WavSink, pcm: bytes) -> None:
    for start in range(0, len(pcm), FORMAT.block_bytes):
        sink.write(pcm[start : start + FORMAT.block_bytes])


def contents(path: str) -> bytes:
    """The sound as another reader sees it."""
    with wave.open(path) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 2, 2)
        frames: bytes = file.readframes(file.getnframes())
        return frames


def test_a_recording(path: str) -> None:
    sink = WavSink(path, FORMAT, overwrite=False)
    write_blocks(sink, PCM)
    sink.close()
    sink.close()
    assert contents(path) == PCM
    assert os.path.getsize(path) == 80 + len(PCM)
    with open(path, "rb") as file:
        assert struct.unpack("<4sI", file.read(8)) == (b"RIFF", 72 + len(PCM))


def test_the_file_is_valid_after_every_second(path: str) -> None:
    sink = WavSink(path, FORMAT, overwrite=False)
    assert contents(path) == b""
    for second in range(1, 5):
        write_blocks(sink, PCM[(second - 1) * SECOND_BYTES : second * SECOND_BYTES])
        assert contents(path) == PCM[: second * SECOND_BYTES]
    sink.write(PCM[:4])
    assert contents(path) == PCM
    sink.close()
    assert contents(path) == PCM + PCM[:4]


def test_a_file_past_the_limit_is_rf64(path: str) -> None:
    sink = WavSink(path, FORMAT, overwrite=False, riff_max_bytes=72 + SECOND_BYTES)
    write_blocks(sink, PCM[:SECOND_BYTES])
    assert contents(path) == PCM[:SECOND_BYTES]
    write_blocks(sink, PCM[SECOND_BYTES:])
    sink.close()
    with open(path, "rb") as file:
        head = file.read(80)
    assert head[:12] == b"RF64\xff\xff\xff\xffWAVE"
    assert head[12:48] == b"ds64\x1c\0\0\0" + struct.pack(
        "<QQQI", 72 + len(PCM), len(PCM), len(PCM) // 4, 0
    )
    assert head[72:] == b"data\xff\xff\xff\xff"
    reader = WavReader(path)
    assert (reader.frames, reader.truncated) == (len(PCM) // 4, False)
    assert reader.read(len(PCM)) == PCM
    reader.close()


def test_an_existing_file_is_kept_or_replaced(path: str) -> None:
    Path(path).write_bytes(b"precious" * 1000)
    with pytest.raises(ConfigError, match="--overwrite"):
        WavSink(path, FORMAT, overwrite=False)
    assert Path(path).read_bytes() == b"precious" * 1000
    sink = WavSink(path, FORMAT, overwrite=True)
    sink.write(PCM[:400])
    sink.close()
    assert contents(path) == PCM[:400]


KILLED = """
import os, signal, sys
from echowarp.device.wav_writer import WavSink
from echowarp.media.format import Format
format = Format.for_blocks(rate=8000, channels=2, block_ms=5)
sink = WavSink(sys.argv[1], format, overwrite=False)
for block in range(700):
    sink.write(bytes([block % 256]) * format.block_bytes)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_killed_it_is_valid_to_the_last_second(path: str) -> None:
    run = subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    assert run.returncode == -signal.SIGKILL
    written = b"".join(bytes([block % 256]) * FORMAT.block_bytes for block in range(700))
    got = contents(path)
    assert len(got) == 3 * SECOND_BYTES
    assert got == written[: len(got)]


FULL = """
import json, resource, sys
from echowarp.device.wav_writer import WavSink
from echowarp.errors import StorageError
from echowarp.media.format import Format
limit = int(sys.argv[2])
format = Format.for_blocks(rate=8000, channels=2, block_ms=5)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
said = []
try:
    sink = WavSink(sys.argv[1], format, overwrite=False)
except StorageError as error:
    said.append(str(error))
else:
    for block in range(1000):
        try:
            sink.write(bytes(range(160)))
        except StorageError as error:
            said.append(str(error))
            if len(said) == 2:
                break
    sink.close()
print(json.dumps(said))
"""


@pytest.mark.parametrize("limit", [80 + 160 * 500, 80 + 160 * 500 + 3, 81, 83])
def test_a_full_disk_leaves_what_fitted(path: str, limit: int) -> None:
    run = subprocess.run(
        [sys.executable, "-c", FULL, path, str(limit)], check=True, capture_output=True
    )
    said = json.loads(run.stdout)
    assert path in said[0]
    assert "the recording stopped" in said[0]
    assert "already stopped" in said[1]
    assert run.stderr == b""
    assert contents(path) == (bytes(range(160)) * 1000)[: (limit - 80) // 4 * 4]


def test_no_room_for_the_header_leaves_no_file(path: str) -> None:
    run = subprocess.run([sys.executable, "-c", FULL, path, "40"], check=True, capture_output=True)
    assert path in json.loads(run.stdout)[0]
    assert not os.path.exists(path)


def test_a_device_that_is_full(tmp_path: Path) -> None:
    link = tmp_path / "full.wav"
    link.symlink_to("/dev/full")
    with pytest.raises(StorageError, match="No space left"):
        WavSink(str(link), FORMAT, overwrite=True)


def refusal(path: Path, overwrite: bool) -> str:
    with pytest.raises(ConfigError) as caught:
        check_writable(str(path), overwrite)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_checking_leaves_everything_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    check_writable(str(path), False)
    check_writable(str(path), True)
    assert not path.exists()
    path.write_bytes(b"precious")
    assert "--overwrite" in refusal(path, False)
    check_writable(str(path), True)
    assert path.read_bytes() == b"precious"


def test_what_cannot_be_written(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path, True)
    assert "there is no folder" in refusal(tmp_path / "none" / "a.wav", False)
    assert "cannot be written" in refusal(tmp_path / ("x" * 300 + ".wav"), False)
    assert "cannot be written" in refusal(Path("/proc/a.wav"), False)
    os.mkfifo(tmp_path / "fifo.wav")
    assert "not a regular file" in refusal(tmp_path / "fifo.wav", True)
    (tmp_path / "dangling.wav").symlink_to(tmp_path / "none" / "a.wav")
    assert "cannot be written" in refusal(tmp_path / "dangling.wav", True)


def test_the_names_of_further_files() -> None:
    assert next_name("a/b.c/name.wav", 2) == "a/b.c/name-2.wav"
    assert next_name("name.WAV", 10) == "name-10.WAV"
