"""`echowarp cache` as a process, with servers of several kinds over loopback."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from echowarp.app.cache_store import CacheStore
from echowarp.session.file_cache import CacheConnection
from tests.app.tty import Teletype, screen
from tests.cache_server import CacheServer, Connection, Foreign
from tests.processes import ROOT, Program, free_port, wait_until

DATA = os.urandom(300_000)
SIZES = (0, 1, 8191, 8192, 8193, 65536)


class Bench:
    """A folder with files to send, servers, and the program run in it."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self.store = CacheStore(str(folder / "cache"), max_bytes=None, ttl_s=None, now_s=time.time)
        stack.callback(self.store.close)
        self._count = 0
        self.environment: dict[str, str] = {}

    def serve(
        self, connect: Callable[[], Connection] | None = None, **options: object
    ) -> CacheServer:
        server = CacheServer(
            connect or (lambda: CacheConnection(self.store)),
            **options,  # type: ignore[arg-type]
        )
        self._stack.callback(server.close)
        return server

    def file(self, name: str, data: bytes = DATA) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def start(self, server: CacheServer, *arguments: str, password: str | None = None) -> Program:
        self._count += 1
        words = ["cache", "-s", server.uri, *arguments]
        program = Program(
            self.folder,
            f"cache-{self._count}",
            words,
            password=password,
            stats=False,
            environment=self.environment,
        )
        self._stack.callback(program.close)
        return program

    def run(
        self, server: CacheServer, *arguments: str, status: int = 0, password: str | None = None
    ) -> Program:
        program = self.start(server, *arguments, password=password)
        assert program.ends() == status, program.said
        assert "Traceback" not in program.said and "unexpected" not in program.said
        return program


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with contextlib.ExitStack() as stack:
        yield Bench(tmp_path, stack)


@pytest.mark.parametrize("size", SIZES)
def test_there_and_back(bench: Bench, size: int) -> None:
    sent = bench.file("in.bin", DATA[:size])
    program = bench.run(bench.serve(), "-i", "in.bin", "-o", "out.bin", "--id", "my.File-1")
    assert (bench.folder / "out.bin").read_bytes() == sent.read_bytes()
    digest = hashlib.sha256(DATA[:size]).hexdigest()
    assert [(e.id, e.size, e.sha256) for e in bench.store.list()] == [("my.File-1", size, digest)]
    assert f"verified: SHA-256 {digest}" in program.said
    assert "Mbit/s, average" in program.said
    assert "\x1b" not in program.said and "%" not in program.said
    assert program.out.read_bytes() == b""


@pytest.mark.parametrize("size", SIZES)
def test_somebody_elses_server(bench: Bench, size: int) -> None:
    files: dict[str, bytes] = {}
    bench.file("in.bin", DATA[:size])
    bench.run(bench.serve(lambda: Foreign(files)), "-i", "in.bin", "-o", "out.bin")
    assert (bench.folder / "out.bin").read_bytes() == DATA[:size]
    assert list(files.values()) == [DATA[:size]]


def test_64_mebibytes(bench: Bench) -> None:
    data = os.urandom(1 << 20) * 64
    bench.file("in.wav", data)
    program = bench.run(bench.serve(), "-i", "in.wav")
    (entry,) = bench.store.list()
    assert entry.id.startswith("stream-") and len(entry.id) == 15
    assert (bench.folder / f"{entry.id}.wav").read_bytes() == data
    assert "verified" in program.said


def test_the_parts_of_it(bench: Bench) -> None:
    server = bench.serve()
    bench.file("in.bin")
    up = bench.run(server, "-i", "in.bin", "--upload_only", "--id", "x")
    assert "average" not in up.said
    assert not (bench.folder / "x").exists()
    listed = bench.run(server, "--list").out.read_text()
    digest = hashlib.sha256(DATA).hexdigest()
    assert listed.split()[:3] == ["x", str(len(DATA)), digest]
    assert "verified" in bench.run(server, "--download", "x").said
    assert (bench.folder / "x").read_bytes() == DATA
    again = bench.run(server, "--download", "x", status=2)
    assert "--overwrite" in again.said
    bench.run(server, "--download", "x", "--overwrite")
    assert bench.run(server, "--download", "nothing", status=3)
    taken = bench.run(server, "-i", "in.bin", "--id", "x", "--upload_only", status=3)
    assert "exists" in taken.said


def test_quiet_says_nothing(bench: Bench) -> None:
    bench.file("in.bin")
    assert bench.run(bench.serve(), "-i", "in.bin", "-q").said == ""


def test_what_comes_back_is_another_file(bench: Bench) -> None:
    bench.file("in.bin")
    server = bench.serve(lambda: Foreign({}, spoiled=True))
    program = bench.run(server, "-i", "in.bin", "-o", "out.bin", status=1)
    assert "what came back" in program.said
    assert {each.name for each in bench.folder.glob("out*")} == set()


def test_a_server_that_answers_out_of_turn_when_asked_ahead(bench: Bench) -> None:
    class Hasty(Foreign):
        def to_send(self) -> list[str | bytes]:
            return super().to_send()[::-1]

    bench.file("in.bin", os.urandom(1_000_000))
    server = bench.serve(lambda: Hasty({}, at_most=65536))
    program = bench.run(server, "-i", "in.bin", "-o", "out.bin")
    assert "verified" in program.said
    same = (bench.folder / "in.bin").read_bytes() == (bench.folder / "out.bin").read_bytes()
    assert same


@pytest.mark.parametrize("way", ["error", "leaves"])
def test_a_server_that_cannot_list(bench: Bench, way: str) -> None:
    files = {"x": DATA}
    server = bench.serve(lambda: Foreign(files, leaves=way == "leaves"))
    assert "cannot list" in bench.run(server, "--list", status=3).said
    program = bench.run(server, "--download", "x")
    assert (bench.folder / "x").read_bytes() == DATA
    assert "not verified" in program.said and hashlib.sha256(DATA).hexdigest() in program.said
    bench.file("in.bin")
    program = bench.run(server, "-i", "in.bin", "--resume", "--upload_only", "--id", "y")
    assert "cannot list" in program.said and files["y"] == DATA


def test_a_server_that_says_nothing_to_a_listing(bench: Bench) -> None:
    server = bench.serve(lambda: Foreign({"x": DATA}, quiet=True))
    bench.run(server, "--download", "x")
    assert (bench.folder / "x").read_bytes() == DATA


class Slow(CacheConnection):
    """Ends the connection in the middle of a download, once."""

    left = 3

    def to_send(self) -> list[str | bytes]:
        frames = super().to_send()
        if any(isinstance(frame, bytes) for frame in frames):
            if Slow.left == 0:
                raise OSError("the network fails")
            Slow.left -= 1
        return frames


def test_a_download_that_breaks_off_is_gone_on_with(bench: Bench) -> None:
    data = os.urandom(3_000_000)
    bench.file("in.bin", data)
    bench.run(bench.serve(), "-i", "in.bin", "--upload_only", "--id", "x")
    Slow.left = 3
    server = bench.serve(lambda: Slow(bench.store))
    broken = bench.run(server, "--download", "x", status=4)
    part = bench.folder / "x.part"
    size = part.stat().st_size
    assert 0 < size < len(data) and "--resume" in broken.said
    assert not (bench.folder / "x").exists()
    Slow.left = 1000
    program = bench.run(server, "--download", "x", "--resume")
    assert f": {len(data) - size} bytes in" in program.said
    assert (bench.folder / "x").read_bytes() == data and not part.exists()


def test_a_part_of_another_file_is_not_gone_on_with(bench: Bench) -> None:
    server = bench.serve()
    bench.file("in.bin")
    bench.run(server, "-i", "in.bin", "--upload_only", "--id", "x")
    for part in (b"other" * 1000, os.urandom(len(DATA) + 5)):
        (bench.folder / "x.part").write_bytes(part)
        bench.run(server, "--download", "x", "--resume", "--overwrite")
        assert (bench.folder / "x").read_bytes() == DATA


def test_an_upload_that_is_there_already_is_not_sent_again(bench: Bench) -> None:
    server = bench.serve()
    bench.file("in.bin")
    bench.run(server, "-i", "in.bin", "--upload_only", "--id", "x")
    program = bench.run(server, "-i", "in.bin", "--resume", "-o", "out.bin")
    assert "there already, as x" in program.said and "uploaded" not in program.said
    assert (bench.folder / "out.bin").read_bytes() == DATA
    assert len(bench.store.list()) == 1


def test_passwords(bench: Bench) -> None:
    server = bench.serve(password="four words are enough")
    bench.file("in.bin")
    for password in (None, "wrong"):
        program = bench.run(server, "-i", "in.bin", status=3, password=password)
        assert "password" in program.said
    bench.run(server, "-i", "in.bin", "-o", "out.bin", password="four words are enough")
    assert (bench.folder / "out.bin").read_bytes() == DATA


def test_a_password_does_not_go_where_others_can_read_it(bench: Bench) -> None:
    server = bench.serve()
    server.uri = "ws://192.0.2.1/audio"
    program = bench.run(server, "--list", "-p", "x", status=2)
    assert "wss://" in program.said


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    """A self-made certificate, and its fingerprint."""
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    made += ["-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", "key.pem"]
    try:
        subprocess.run([*made, "-out", "cert.pem"], cwd=tmp_path, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs openssl")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    der = ssl.PEM_cert_to_DER_cert((tmp_path / "cert.pem").read_text())
    return context, hashlib.sha256(der).digest().hex(":").upper()


def test_tls(bench: Bench, certificate: tuple[ssl.SSLContext, str]) -> None:
    context, fingerprint = certificate
    server = bench.serve(tls=context, password="x")
    bench.file("in.bin", os.urandom(3_000_000))
    program = bench.run(server, "--list", status=4, password="x")
    assert "--fingerprint" in program.said
    wrong = fingerprint.replace(fingerprint[0], "0" if fingerprint[0] != "0" else "1")
    program = bench.run(server, "--list", "--fingerprint", wrong, status=4, password="x")
    assert fingerprint in program.said
    program = bench.run(server, "--list", "--insecure", password="x")
    assert "warning" in program.said
    words = ("-i", "in.bin", "-o", "out.bin", "--fingerprint", fingerprint)
    bench.run(server, *words, password="x")
    assert (bench.folder / "out.bin").read_bytes() == (bench.folder / "in.bin").read_bytes()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ([], 2, "nothing to do"),
        (["--list", "-s", "http://localhost/"], 2, "--server"),
        (["--list", "-s", "ws://localhost:1/audio"], 4, "nothing listens"),
        (["-i", "missing.bin"], 2, "no such file"),
        (["-i", "cache-1.err", "-o", "no/such/folder/x"], 2, "there is no folder"),
        (["--download", "../x"], 2, "no id"),
        (["--download", "x", "-o", "no/such/folder/x"], 2, "there is no folder"),
        (["--list", "--insecure"], 2, "wss://"),
        (["--list", "-s", "ws://x:password@192.0.2.1/audio"], 2, "could read the password"),
    ],
)
def test_what_is_wrong(bench: Bench, words: list[str], status: int, said: str) -> None:
    bench.store.begin("x").finish()
    assert said in bench.run(bench.serve(), *words, status=status).said


def test_no_websocket_there(bench: Bench) -> None:
    server = bench.serve()
    server.uri = server.uri.replace("/audio", "/elsewhere")
    assert "404" in bench.run(server, "--list", status=4).said


def test_ctrl_c_leaves_what_can_be_gone_on_with(bench: Bench) -> None:
    class Stuck(CacheConnection):
        sent = 0

        def to_send(self) -> list[str | bytes]:
            frames = super().to_send()
            Stuck.sent += sum(len(frame) for frame in frames if isinstance(frame, bytes))
            return [] if Stuck.sent > 200_000 else frames

    bench.file("in.bin")
    bench.run(bench.serve(), "-i", "in.bin", "--upload_only", "--id", "x")
    program = bench.start(bench.serve(lambda: Stuck(bench.store)), "--download", "x")
    part = bench.folder / "x.part"
    wait_until(lambda: part.exists() and Stuck.sent > 200_000, "the server is stuck")
    program.signal(signal.SIGINT)
    assert program.ends() == 0
    assert "Traceback" not in program.said
    assert DATA.startswith(part.read_bytes()) if part.exists() else True


def test_two_that_download_to_one_name(bench: Bench) -> None:
    """The second leaves the first one's part alone."""

    class Stuck(CacheConnection):
        freed = False
        asked = False

        def to_send(self) -> list[str | bytes]:
            frames = super().to_send()
            Stuck.asked |= any(isinstance(frame, bytes) for frame in frames)
            wait_until(lambda: Stuck.freed or not Stuck.asked, "it may go on")
            return frames

    bench.file("in.bin")
    bench.run(bench.serve(), "-i", "in.bin", "--upload_only", "--id", "x")
    first = bench.start(bench.serve(lambda: Stuck(bench.store)), "--download", "x")
    wait_until(lambda: Stuck.asked, "it begins")
    for words in ((), ("--resume",), ("--overwrite",)):
        second = bench.run(bench.serve(), "--download", "x", *words, status=2)
        assert "another run is downloading" in second.said
    Stuck.freed = True
    assert first.ends() == 0, first.said
    assert (bench.folder / "x").read_bytes() == DATA
    assert not (bench.folder / "x.part").exists()


def test_ten_clients_at_once(bench: Bench) -> None:
    server = bench.serve()
    data = {n: os.urandom(500_000 + n) for n in range(10)}
    for n, each in data.items():
        bench.file(f"in-{n}", each)
    running = [bench.start(server, "-i", f"in-{n}", "-o", f"out-{n}") for n in data]
    assert [program.ends(patience_s=60) for program in running] == [0] * 10
    assert {n: (bench.folder / f"out-{n}").read_bytes() for n in data} == data


def test_a_progress_bar_on_a_terminal(bench: Bench) -> None:
    bench.file("in.bin", os.urandom(1 << 20) * 8)
    server = bench.serve()
    words = ["cache", "-s", server.uri, "-i", "in.bin", "-o", "out.bin"]
    teletype = Teletype()
    program = Program(bench.folder, "shown", words, stats=False, **teletype.options)
    try:
        assert program.ends() == 0
    finally:
        program.close()
        teletype.close(program)
    assert "uploading" in teletype.text and "░" in teletype.text
    rows = screen(teletype.shown)
    assert any("verified" in row for row in rows)
    assert not any("uploading" in row or "downloading" in row for row in rows)


@pytest.mark.parametrize("delay_s", [0.0, 0.02, 0.05, 0.1, 0.2])
def test_a_server_killed_during_an_upload(bench: Bench, tmp_path: Path, delay_s: float) -> None:
    """After a restart the file is absent or whole."""
    folder, port = str(tmp_path / "other"), free_port()
    data = os.urandom(1 << 20) * 24
    bench.file("in.bin", data)
    words = [sys.executable, "-m", "tests.cache_server", folder, str(port)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline().startswith(b"ready")
        server = bench.serve()
        server.uri = f"ws://127.0.0.1:{port}/audio"
        program = bench.start(server, "-i", "in.bin", "--upload_only", "--id", "x")
        parts = Path(folder)
        wait_until(lambda: list(parts.glob("upload-*")) or not program.running, "it begins")
        time.sleep(delay_s)
        process.kill()
    status = program.ends()
    store = CacheStore(folder, max_bytes=None, ttl_s=None, now_s=time.time)
    entries = store.list()
    reader = store.open("x")
    store.close()
    assert len(list(parts.iterdir())) == 1 + 2 * len(entries)
    if reader is None:
        assert status == 4, program.said
        return
    assert b"".join(reader.read(at, 1 << 20) for at in range(0, reader.size, 1 << 20)) == data
    reader.close()
