"""The web door of real servers: pages, sound, places, logins and the end."""

from __future__ import annotations

import base64
import datetime
import errno
import hashlib
import os
import signal
import socket
import ssl
import stat
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest

from echowarp.app.web_certificate import own_hosts
from echowarp.app.web_door import WebDoor
from echowarp.crypto.certificate import make_certificate
from echowarp.errors import EchoWarpError
from echowarp.media.pcm import level_db
from echowarp.wire.http_fields import HttpError
from tests.hostile.attackers import guess
from tests.processes import LOOPBACK, PASSWORD, Program, Stage, free_port, wait_until
from tests.recordings import speech_wav
from tests.visitor import Door, serve

BLOCK_FRAMES = 240
UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.fixture
def open_stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "open", password=None)


def basic(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"any:{password}".encode()).decode()}


def door_process(server: Program) -> int:
    """The process that all visitors talk to."""
    command = ["pgrep", "-P", str(server.pid), "-f", "spawn_main"]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_a_page_and_its_files(open_stage: Stage) -> None:
    """They come whole, say what they are, and let nothing in from elsewhere."""
    with open_stage as stage:
        server, door = serve(stage)
        page = door.ask("/")
        assert page.status == 200 and page.fields["content-type"].startswith("text/html")
        assert "default-src 'none'" in page.fields["content-security-policy"]
        assert "access-control-allow-origin" not in page.fields
        for name in ("style.css", "page.js", "worklet.js"):
            file = door.ask(f"/{name}")
            assert file.status == 200 and file.fields["x-content-type-options"] == "nosniff"
            again = door.ask(f"/{name}", {"If-None-Match": file.fields["etag"]})
            assert again.status == 304 and again.body == b""
        for path in ("/nothing", "/../main.py", "/%2e%2e/main.py", "/web/page.js"):
            assert door.ask(path).status in (400, 404)
        assert door.ask("/", method="POST").status == 405
        assert door.ask("/listen").status == 426
        assert server.leave() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_it_sends_the_stream(open_stage: Stage, workers: int) -> None:
    """Every block, with a number and a time that go on, to listeners by HTTP and by TLS."""
    with open_stage as stage:
        server, door = serve(stage, "--workers", str(workers))
        for tls in (False, True):
            with Door(door.port, tls=tls).socket() as ear:
                told = ear.until("stream")
                assert (told["rate"], told["channels"], told["blockFrames"]) == (48000, 2, 240)
                heard = ear.hear(200)
                seqs = [block.seq for block in heard]
                assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
                times = [block.time - heard[0].time for block in heard]
                assert times == [BLOCK_FRAMES * n for n in range(len(times))]
                assert level_db(heard[-1].pcm) == pytest.approx(-15, abs=1)
                anchor, status = ear.until("anchor"), ear.until("status")
                assert heard[0].time <= anchor["time"] <= heard[-1].time
                assert status["source"] == "tone"
                assert (status["listeners"], status["webListeners"]) == (1, 1)
                ear.say({"type": "clock", "t1": 12.5})
                clock = ear.until("clock")
                assert clock["t1"] == 12.5 and 0 <= clock["t3"] - clock["t2"] < 1000
                assert abs(time.monotonic_ns() / 1e6 - clock["t3"]) < 5000
            wait_until(lambda: door.ask("/status").json["webListeners"] == 0, "it has left")
        assert "Traceback" not in server.said


def test_what_it_hears_is_what_clients_hear(open_stage: Stage) -> None:
    """The time of a block is that of the stream; both ways lead to the same frames."""
    with open_stage as stage:
        _, door = serve(stage, source="none")
        with door.socket() as ear:
            assert "no sound of its own" in ear.until("end")["reason"]
            assert ear.until("status")["source"] is None
            assert not ear.blocks


def test_a_file_waits_for_a_page(open_stage: Stage, tmp_path: Path) -> None:
    """It begins with the first who listens, and its end is told before the goodbye."""
    wav = tmp_path / "speech.wav"
    pcm = speech_wav(wav, 1.0)
    with open_stage as stage:
        server, door = serve(stage, source=wav)
        with door.socket() as ear:
            stream = ear.until("stream")
            end = ear.until("end")
            assert end["stream"] == stream["stream"] and "has ended" in end["reason"]
            whole = b"".join(block.pcm for block in ear.blocks)
            assert whole == pcm
            assert ear.until("status")["source"] == "speech.wav"
            assert ear.until("goodbye")["message"]
            assert ear.until_closed().code == 1001
        assert server.ends() == 0


def test_the_end_does_not_overtake_the_sound(open_stage: Stage, tmp_path: Path) -> None:
    """They come to the door's process by two ways; here it finds both at once."""
    wav = tmp_path / "speech.wav"
    pcm = speech_wav(wav, 0.4)
    with open_stage as stage:
        server, door = serve(stage, source=wav)
        process = door_process(server)
        with door.socket() as ear:
            first = ear.hear(1)
            os.kill(process, signal.SIGSTOP)
            server.says("the source has ended")
            os.kill(process, signal.SIGCONT)
            ear.until("end")
            assert b"".join(block.pcm for block in first + ear.blocks) == pcm
        assert server.ends() == 0


def test_places_are_counted_together(open_stage: Stage) -> None:
    """A page takes a client's place, a client a page's; who leaves gives it back."""
    with open_stage as stage:
        server, door = serve(stage, "--max_clients", "1")
        with door.socket() as ear:
            ear.until("stream")
            with door.socket() as late:
                assert "full" in late.until("full")["message"]
                assert late.until_closed().code == 1013
            assert stage.client("--reconnect", "1").ends() == 3
        wait_until(lambda: "listens no longer" in server.said, "the page has left")
        client = stage.client()
        client.says("connected")
        with door.socket() as late:
            late.until("full")
        assert client.leave() == 0


def test_a_page_that_leaves_with_a_goodbye(open_stage: Stage) -> None:
    with open_stage as stage:
        server, door = serve(stage)
        with door.socket() as ear:
            ear.say({"type": "report", "bufferMs": 60, "lossPercent": 1.25, "delayMs": 88.4})
            ear.hear(1)
            ear.hang_up()
            assert ear.closed is not None and ear.closed.clean
        server.says("listens no longer: it left, 88 ms behind, 1.2 % lost")


def test_the_goodbye_of_a_server(open_stage: Stage) -> None:
    with open_stage as stage:
        server, door = serve(stage)
        with door.socket() as ear:
            ear.hear(1)
            server.process.terminate()
            ear.until("goodbye")
            assert ear.until_closed().code == 1001
        assert server.ends() == 0


def test_a_login(stage: Stage) -> None:
    """Without it nothing is to be had but the form; the cookie is the browser's alone."""
    server, door = serve(stage)
    assert door.ask("/").fields["location"] == "/login"
    assert door.ask("/login").status == 200
    for path in ("/status", "/cache/some"):
        assert door.ask(path).status == 401
    for path in ("/listen", "/audio"):
        with pytest.raises(HttpError) as caught:
            door.socket(path)
        assert caught.value.status == 401
    answer = door.log_in(PASSWORD)
    assert (answer.status, answer.fields["location"]) == (303, "/")
    cookie = answer.fields["set-cookie"]
    for word in ("HttpOnly", "Secure", "SameSite=", "__Host-", "Path=/"):
        assert word in cookie
    let_in = {"Cookie": cookie.partition(";")[0]}
    assert door.ask("/", let_in).status == 200
    assert door.ask("/status", let_in).json["password"] is True
    with door.socket(fields=let_in) as ear:
        ear.hear(10)
    answer = door.ask("/logout", let_in, method="POST")
    assert answer.status == 303 and "Max-Age=0" in answer.fields["set-cookie"]
    assert door.ask("/status", let_in).status == 401
    assert PASSWORD not in server.said


def test_other_peoples_clients_bring_the_password(stage: Stage) -> None:
    """As a header or in the address, by TLS, and in the open from this machine."""
    _, door = serve(stage)
    for tls in (True, False):
        way = Door(door.port, tls=tls)
        assert way.ask("/status", basic(PASSWORD)).status == 200
        assert way.ask("/status?token=correct%20horse").status == 200
        with way.socket(fields=basic(PASSWORD)) as ear:
            ear.hear(3)
        with way.socket("/audio?token=correct%20horse") as cache:
            cache.say({"type": "list"})
            assert cache.until("listed")["streams"] == []


def test_wrong_passwords_count_together(stage: Stage) -> None:
    """Of the web and of clients: five of both ban the address, and the list has it."""
    host = "127.0.0.3"
    server, door = serve(stage)
    for _ in range(3):
        started = time.monotonic()
        assert door.log_in("wrong", host=host).fields["location"] == "/login?failed=wrong"
        assert time.monotonic() - started > 0.9
    for _ in range(2):
        guess(stage.port, host)
    server.says(f"{host} is banned now")
    assert door.log_in(PASSWORD, host=host).status == 403
    assert door.ask("/", host=host).status == 403
    assert host in (stage.folder / "echowarp_ban_list.txt").read_text("utf-8")
    assert door.log_in(PASSWORD).status == 303


def test_guesses_at_once_buy_nothing(stage: Stage) -> None:
    _, door = serve(stage)
    with ThreadPoolExecutor(30) as pool:
        statuses = list(
            pool.map(
                lambda n: door.ask("/status", basic(f"{n}"), host="127.0.0.4").status, range(30)
            )
        )
    assert statuses.count(401) == 5
    assert set(statuses) <= {401, 403, 429}


def test_a_strangers_page_bans_nobody(stage: Stage) -> None:
    """What it has its readers' browsers load counts as no guess, right or wrong."""
    host = "127.0.0.6"
    _, door = serve(stage)
    for site in ("cross-site", "same-site"):
        for token in ("wrong", "correct%20horse"):
            for _ in range(4):
                fields = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}
                assert door.ask(f"/status?token={token}", fields, host=host).status == 401
    assert door.log_in(PASSWORD, host=host).fields["location"] == "/"


def test_a_ban_list_that_is_read_again(stage: Stage) -> None:
    server, door = serve(stage)
    (stage.folder / "echowarp_ban_list.txt").write_text("127.0.0.5\n")
    server.signal(signal.SIGHUP)
    wait_until(lambda: door.ask("/", host="127.0.0.5").status == 403, "it is banned")
    (stage.folder / "echowarp_ban_list.txt").write_text("")
    server.signal(signal.SIGHUP)
    wait_until(lambda: door.ask("/", host="127.0.0.5").status == 303, "it is let in again")


def own_address() -> str:
    """An address of this machine that is not loopback. Nothing that is sent to it leaves."""
    for host in own_hosts():
        if host[0].isdigit() and not host.startswith("127."):
            return host
    pytest.skip("this machine has loopback alone")


def test_a_password_from_elsewhere_wants_tls(stage: Stage) -> None:
    """In the open it is neither asked for nor taken, and the way on is shown."""
    host = own_address()
    server, door = serve(stage, bind=None)
    plain, tls = Door(door.port, host=host), Door(door.port, host=host, tls=True)
    answer = plain.ask("/")
    assert (answer.status, answer.fields["location"]) == (307, f"https://{host}:{door.port}/")
    answer = plain.ask("/cache/%E2%82%AC%20x")
    assert answer.fields["location"] == f"https://{host}:{door.port}/cache/%E2%82%AC%20x"
    assert plain.ask("/status", basic(PASSWORD)).status == 403
    assert plain.ask("/?token=correct%20horse").status == 403
    assert plain.log_in(PASSWORD).status == 403
    assert tls.log_in(PASSWORD).fields["location"] == "/"
    with pytest.raises(HttpError) as caught:
        plain.socket(fields=basic(PASSWORD))
    assert caught.value.status == 403
    with tls.socket(fields=basic(PASSWORD)) as ear:
        ear.hear(3)
    assert "wrong password" not in server.said and "opens anew" not in server.said


def test_pages_of_others(open_stage: Stage) -> None:
    """Neither a page of another origin nor a name that a stranger may have points here."""
    with open_stage as stage:
        _, door = serve(stage)
        own = f"http://{LOOPBACK}:{door.port}"
        for origin in ("http://evil.example", "null", f"https://{LOOPBACK}:{door.port}", own + "0"):
            for path in ("/listen", "/audio"):
                with pytest.raises(HttpError) as caught:
                    door.socket(path, {"Origin": origin})
                assert caught.value.status == 403
        with door.socket(fields={"Origin": own}) as ear:
            ear.hear(1)
        assert door.ask("/", {"Host": f"evil.example:{door.port}"}).status == 421
        assert door.ask("/", {"Host": f"studio.local:{door.port}"}).status == 200
        # Other programs know the server by whatever name it has.
        program = {**UPGRADE, "Host": "studio.example"}
        assert door.ask("/audio", program).status == 101
        assert door.ask("/audio", {**program, "Origin": "http://studio.example"}).status == 421


def test_the_certificate_is_kept(open_stage: Stage) -> None:
    """The same at every start, for its owner's eyes; its fingerprint is in the log."""
    with open_stage as stage:
        first, door = serve(stage)
        (path,) = (stage.folder / "data" / "echowarp").iterdir()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        lines = [line for line in first.said.splitlines() if "SHA-256" in line]
        (fingerprint,) = (line.rpartition(" ")[2] for line in lines)
        with Door(door.port, tls=True).connect() as sock:
            der = sock.getpeercert(True)  # type: ignore[attr-defined]
        assert fingerprint.replace(":", "").lower() == hashlib.sha256(der).hexdigest()
        assert first.leave() == 0
        second, _ = serve(stage)
        assert fingerprint in second.said


def test_a_certificate_that_is_renewed(open_stage: Stage) -> None:
    """Who comes after it gets the new one; who is there stays."""
    with open_stage as stage:

        def renew() -> bytes:
            now = datetime.datetime.now(datetime.timezone.utc)
            made = make_certificate(
                ["localhost"],
                not_before=now - datetime.timedelta(days=80),
                not_after=now + datetime.timedelta(days=10),
                random_bytes=os.urandom,
            )
            new = stage.folder / "new.pem"
            new.write_bytes(made.key + made.certificate)
            new.replace(stage.folder / "own.pem")
            return ssl.PEM_cert_to_DER_cert(made.certificate.decode())

        def shown() -> bytes:
            with Door(door.port, tls=True).connect() as sock:
                return sock.getpeercert(True)  # type: ignore[attr-defined, no-any-return]

        first = renew()
        server, door = serve(stage, "--web_cert", "own.pem", tls=True)
        assert shown() == first
        with door.socket() as ear:
            second = renew()
            server.says("certificate is another now")
            assert shown() == second
            ear.hear(200)
        assert server.leave() == 0


def test_what_is_wrong_is_said_at_the_start(open_stage: Stage) -> None:
    with open_stage as stage:
        cases = [
            (("--web_cert", "none.pem"), "none.pem"),
            (("--web_cert", "empty.pem"), "no certificate"),
            (("--cache_dir", "file"), "file"),
        ]
        (stage.folder / "empty.pem").write_text("")
        (stage.folder / "file").write_text("")
        for arguments, words in cases:
            server = stage.server("--web_port", str(free_port()), *arguments, ready=False)
            assert server.ends() == 2, server.said
            assert words in server.said
        with socket.socket() as taken:
            taken.bind((LOOPBACK, 0))
            taken.listen()
            port = taken.getsockname()[1]
            server = stage.server("--web_port", str(port), ready=False)
            assert server.ends() == 2 and "--web_port" in server.said


def test_a_door_for_which_no_socket_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a failure to start it, which its keeper tells of and tries again after."""

    def none_left() -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(socket, "socketpair", none_left)
    with pytest.raises(EchoWarpError, match="no socket"):
        WebDoor._begin_process(cast(WebDoor, None))


def test_a_password_in_the_uri_and_another_beside_it(stage: Stage) -> None:
    """Who names one in the URI means that one."""
    _, door = serve(stage, "--ssl")
    uri = f"ws://x:{PASSWORD.replace(' ', '%20')}@{LOOPBACK}:{door.port}/audio"
    words = ("cache", "--list", "-s", uri)
    for beside in (None, PASSWORD, "another"):
        program = stage.run("cache", *words, stats=False, password=beside)
        assert program.ends() == 0, program.said
    words = ("cache", "--list", "-s", uri.replace("horse", "cow"))
    program = stage.run("cache", *words, stats=False)
    assert program.ends() == 3
    assert "wrong password" in program.said


def test_a_door_that_breaks_opens_anew(open_stage: Stage) -> None:
    """Clients notice nothing of it, and its visitors only that they have to come again."""
    with open_stage as stage:
        server, door = serve(stage)
        client = stage.client("--duration", "3")
        with door.socket() as ear:
            ear.hear(1)
            os.kill(door_process(server), signal.SIGKILL)
            with pytest.raises((ConnectionError, OSError)):
                ear.hear(10**6)
        server.says("the web door opens anew")

        def hears() -> bool:
            try:
                with door.socket() as again:
                    return len(again.hear(1)) > 0
            except OSError:
                return False

        wait_until(hears, "it sends again")
        assert client.ends() == 0, client.said
        stream = client.stream
        assert stream["lost"] == 0
        assert door.ask("/status").json["webListeners"] <= 1
