"""Cases 6, 8 and 9: guessing, servers that only pretend, and words that look alike."""

from __future__ import annotations

import socket
import threading
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest

from echowarp.wire import handshake as frames
from echowarp.wire.codes import Code
from tests.hostile import attackers
from tests.hostile.attackers import Guest, exactly, guess, new_host
from tests.hostile.beside import Beside
from tests.processes import LOOPBACK, Stage, free_port, wait_until

GUESSES = 5
"""What --reconnect is unless it is given."""
PARALLEL = 100


def test_6_a_hundred_guesses_at_once(undisturbed: Beside) -> None:
    """Exactly five are heard, whoever comes with them waits or is sent away, and then the
    address is banned, also by a server that starts with the same list."""
    host = new_host()
    with ThreadPoolExecutor(PARALLEL) as pool:
        codes = Counter(pool.map(lambda n: guess(undisturbed.port, host, f"{n}"), range(PARALLEL)))
    assert codes[Code.WRONG_PASSWORD] == GUESSES
    assert set(codes) <= {Code.WRONG_PASSWORD, Code.BANNED, Code.TOO_MANY}, codes
    assert guess(undisturbed.port, host) == Code.BANNED
    wait_until(lambda: host in undisturbed.banned, "the ban is saved")
    assert undisturbed.server.said.count(f"warning: {host} gave a wrong password") == GUESSES
    with Stage(undisturbed.stage.folder / "again") as stage:
        stage.server("--ban_list", "../echowarp_ban_list.txt")
        assert guess(stage.port, host) == Code.BANNED
        with Guest(stage.port, new_host()) as guest:
            guest.join()


Behaviour = Callable[[socket.socket], None]


def liar(sock: socket.socket) -> None:
    """Goes through the whole handshake without the password."""
    prober(sock)
    sock.sendall(frames.pack_accept(bytes(32)))
    exactly(sock, 1)


def prober(sock: socket.socket) -> None:
    """Takes the client's proof, to try one guess on it, and is gone."""
    sock.sendall(
        frames.pack_greeting(frames.Greeting(version_min=1, version_max=1, nonce=bytes(16)))
    )
    exactly(sock, 2 + frames.FRAME_LEN[frames.FrameType.HELLO])
    sock.sendall(frames.pack_reply(attackers.BASE_POINT))
    exactly(sock, 2 + frames.FRAME_LEN[frames.FrameType.CONFIRM])


def finisher(sock: socket.socket) -> None:
    """Says that all is done."""
    sock.sendall(frames.pack_error(Code.FINISHED))
    exactly(sock, 1)


def player(recorded: bytes) -> Behaviour:
    """Says what a real server has said before."""

    def play(sock: socket.socket) -> None:
        sock.sendall(recorded[:25])
        exactly(sock, 2 + frames.FRAME_LEN[frames.FrameType.HELLO])
        sock.sendall(recorded[25:60])
        exactly(sock, 2 + frames.FRAME_LEN[frames.FrameType.CONFIRM])
        sock.sendall(recorded[60:])
        exactly(sock, 1)

    return play


@contextmanager
def false_server(behave: Behaviour) -> Iterator[tuple[int, list[None]]]:
    """Behaves so to everybody. Gives its port, and an entry for each connection."""
    port, met = free_port(), list[None]()
    listening = socket.create_server((LOOPBACK, port))

    def serve() -> None:
        with suppress(OSError):
            while True:
                sock, _ = listening.accept()
                met.append(None)
                with sock, suppress(OSError):
                    behave(sock)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield port, met
    listening.shutdown(socket.SHUT_RDWR)
    thread.join()
    listening.close()


def record_of(port: int) -> bytes:
    """All that the server says to a client that comes in."""
    heard = bytearray()

    def keep(data: bytes) -> bytes:
        heard.extend(data)
        return data

    with Guest(port, new_host(), down=keep) as guest:
        guest.join()
    return bytes(heard)


def test_8_false_servers(undisturbed: Beside) -> None:
    """Whatever they try, no client believes a word, and each ends as it should: at once
    where somebody lies, after five proofs given in vain, never as if all were done."""
    replay = player(record_of(undisturbed.port))
    cases: list[tuple[Behaviour, str, int, int]] = [
        (liar, "0", 3, 1),
        (replay, "0", 3, 1),
        (prober, "0", 3, 5),
        (finisher, "2", 4, 2),
    ]
    folder = undisturbed.stage.folder
    with Stage(folder / "false") as stage:
        servers = [false_server(behave) for behave, *_ in cases]
        try:
            met = [server.__enter__() for server in servers]
            clients = [
                stage.client("-r", attempts, sink=f"{n}.wav", port=met[n][0])
                for n, (_, attempts, _, _) in enumerate(cases)
            ]
            for (_, _, status, connections), client, (_, made) in zip(
                cases, clients, met, strict=True
            ):
                assert client.ends() == status, client.said
                assert len(made) == connections
                assert "connected" not in client.said
        finally:
            for server in servers:
                server.__exit__(None, None, None)
        assert not list(stage.folder.glob("*.wav"))


def test_9_a_password_on_one_side_only(undisturbed: Beside) -> None:
    """None is a wrong one, and counts as one. The other way round is `test_refusals`'."""
    host = new_host()
    assert guess(undisturbed.port, host, None) == Code.WRONG_PASSWORD
    assert undisturbed.server.said.count(f"warning: {host} gave a wrong password") == 1


def test_9_the_same_word_in_other_bytes(stage: Stage) -> None:
    """Composed or not, and whatever a keyboard makes of a space; as long as it may be."""
    word = "pässwörd café ".ljust(1_018, "x")
    assert len(word.encode()) == 1_021
    composed, apart = (unicodedata.normalize(form, word) for form in ("NFC", "NFD"))
    assert composed != apart
    stage.server(password=composed)
    clients = [
        stage.client("--duration", "0.1", password=each)
        for each in (apart, composed.replace(" ", "\N{NO-BREAK SPACE}"))
    ]
    assert [client.ends() for client in clients] == [0, 0], stage.said()


@pytest.mark.parametrize(
    "password, words",
    [("", "empty"), ("x" * 1_025, "1024"), ("é" * 513, "1024"), ("a\tb", "control")],
)
def test_9_words_that_are_none(stage: Stage, password: str, words: str) -> None:
    """Refused before anything is sent, on both sides, without being repeated."""
    where = ("-a", LOOPBACK, "-u", str(stage.port))
    programs = [
        stage.run("server", "--source", "tone", f"--password={password}", stats=False),
        stage.run("client", "-c", *where, "--sink", "null", f"--password={password}", stats=False),
    ]
    for program in programs:
        assert program.ends() == 2, program.said
        assert words in program.said
        assert not password or password not in program.said
