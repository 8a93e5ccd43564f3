"""Everything that reads bytes from outside, as functions of bytes.

A target returns, whatever it is given. It catches the one error that its parser is
documented to raise; any other exception is a defect.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from echowarp.config.argv import parse_command_line
from echowarp.config.conf import parse_conf
from echowarp.config.files import read_text
from echowarp.config.impair import parse_impairment
from echowarp.config.password import read_password
from echowarp.crypto.password import encode_password
from echowarp.crypto.record import RecordOpener, RecordSealer
from echowarp.crypto.suite import Suite, cipher_for_audio, cipher_for_client
from echowarp.device.wav_reader import WavReader
from echowarp.errors import ConfigError, EchoWarpError, ProtocolError
from echowarp.media.repair import RepairEncoder, RepairSolver
from echowarp.session.admission import Admission
from echowarp.session.bans import BanList, parse_ban_list
from echowarp.session.client_session import Started
from echowarp.session.datagrams import DatagramSender
from echowarp.session.e2e import EndToEnd
from echowarp.session.fanout import Downlink
from echowarp.session.gate import DatagramGate
from echowarp.session.inbox import ClientInbox
from echowarp.session.people import Displaced, People
from echowarp.session.relay import TALK_TYPES, Relay
from echowarp.session.server import Server
from echowarp.session.streams import begin, resume
from echowarp.wire import datagram, feedback, handshake
from echowarp.wire.buffer import RECORD_MAX_LEN, StreamBuffer
from echowarp.wire.datagram import DatagramType, pack_header
from echowarp.wire.handshake import FRAME_LEN, FrameType
from echowarp.wire.http import RequestReader
from echowarp.wire.http import State as HttpState
from echowarp.wire.http_fields import HttpError
from echowarp.wire.http_target import parse_form, parse_ws_uri
from echowarp.wire.http_values import basic_credentials, parse_cookies, parse_range
from echowarp.wire.pairing import parse_pair
from echowarp.wire.people import PEOPLE_TYPES, pack_people, parse_people
from echowarp.wire.records import End, EndReason, Stream, parse_record
from echowarp.wire.websocket import Role, WebSocket
from echowarp.wire.websocket_handshake import ClientHandshake, accept_websocket, wants_websocket
from tests.hostile.samples import HOST, KEYS, STREAM
from tests.session.pair import Pair
from tests.virtual import MS, START_NS, seeded_bytes

Target = Callable[[bytes], None]


class Reader:
    """Takes numbers and pieces off the front of what is fuzzed; zeros behind its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def number(self, size_bytes: int = 1) -> int:
        """An unsigned number of so many bytes."""
        return int.from_bytes(self.piece(size_bytes), "big")

    def piece(self, size_bytes: int) -> bytes:
        """So many bytes, as far as there are any."""
        taken = self._data[self._at : self._at + size_bytes]
        self._at += size_bytes
        return taken

    def pieces(self) -> Iterator[bytes]:
        """All that is left, each piece behind its length in two bytes."""
        while self:
            yield self.piece(self.number(2) % 2_048)

    def rest(self) -> bytes:
        """All that is left."""
        return self.piece(len(self._data))


def wire_handshake(data: bytes) -> None:
    """Frames of the right length and type, of any content."""
    reader = Reader(data)
    kinds = tuple(FRAME_LEN)
    kind = kinds[reader.number() % len(kinds)]
    size = FRAME_LEN[kind]
    frame = size.to_bytes(2, "big") + bytes((kind,)) + reader.piece(size - 1).ljust(size - 1, b"\0")
    assert handshake.frame_type(frame) is kind
    if kind is FrameType.GREETING:
        with suppress(ProtocolError):
            handshake.parse_greeting(frame)
    elif kind is FrameType.HELLO:
        assert handshake.pack_hello(handshake.parse_hello(frame)) == frame
    elif kind is FrameType.ERROR:
        assert handshake.pack_error(handshake.parse_error(frame)) == frame


def wire_records(data: bytes) -> None:
    """The plaintext of a control record."""
    with suppress(ProtocolError):
        parse_record(data)


def wire_datagram(data: bytes) -> None:
    """An envelope and a block."""
    with suppress(ProtocolError):
        header = datagram.parse_header(data)
        assert pack_header(*header) == data[: datagram.HEADER_BYTES]
        block = datagram.parse_block(data[datagram.HEADER_BYTES :])
        assert datagram.pack_block(*block) == data[datagram.HEADER_BYTES :]


def wire_feedback(data: bytes) -> None:
    """The bodies that steer a stream; the first byte is how many entries a report claims."""
    reader = Reader(data)
    entries, body = reader.number(), reader.rest()
    for parse in (
        feedback.parse_clock_ask,
        feedback.parse_clock_answer,
        feedback.parse_repair,
        lambda body: list(feedback.parse_request(body).offsets()),
        lambda body: feedback.parse_report(body, entries),
    ):
        with suppress(ProtocolError):
            parse(body)


def wire_buffer(data: bytes) -> None:
    """A byte stream in pieces: frames first, then records, none of it held for long."""
    buffer = StreamBuffer()
    waiting = [FrameType.GREETING, FrameType.REPLY, FrameType.ACCEPT]
    with suppress(ProtocolError):
        for piece in Reader(data).pieces():
            buffer.feed(piece)
            while waiting and buffer.take_frame(waiting[0]) is not None:
                del waiting[0]
            while not waiting and buffer.take_record() is not None:
                pass
            assert len(buffer._data) < RECORD_MAX_LEN + 2


def wire_http(data: bytes) -> None:
    """Requests in pieces, as a server reads them; what is handed out is fit to be used."""
    reader, now_ns = Reader(data), START_NS
    requests = RequestReader(now_ns, max_body_bytes=256)
    content = 0
    with suppress(HttpError):
        for piece in reader.pieces():
            now_ns += len(piece) * MS
            requests.receive(piece, now_ns)
            while (request := requests.next_request()) is not None:
                assert request.path == "*" or request.path[0] == "/"
                assert "/../" not in f"{request.path}/"
                parse_cookies(request.headers)
                basic_credentials(request.headers)
                parse_range(request.headers, 1_000)
                if wants_websocket(request):
                    accept_websocket(request)
                content = 0
                if requests.body_complete:
                    requests.answered(now_ns)
            content += len(requests.body())
            assert content <= 256
            if requests.state is HttpState.ANSWERING:
                requests.answered(now_ns)
            requests.handle_timeout(now_ns)


def wire_http_response(data: bytes) -> None:
    """What a server answers to the request for a WebSocket."""
    handshake = ClientHandshake(parse_ws_uri("ws://h/audio"), seeded_bytes(1))
    with suppress(ProtocolError):
        for piece in Reader(data).pieces():
            if handshake.receive(piece):
                return
        handshake.receive_eof()


def wire_http_texts(data: bytes) -> None:
    """Forms and URIs."""
    text = data.decode("utf-8", "surrogateescape")
    with suppress(HttpError):
        parse_form(text)
    with suppress(HttpError):
        uri = parse_ws_uri(text)
        assert uri.host and uri.target.isascii()
        ClientHandshake(uri, seeded_bytes(1))


def wire_websocket(data: bytes) -> None:
    """Frames in pieces to either end: it must not matter where they are cut."""
    reader = Reader(data)
    to_client = reader.number() % 2 == 1
    ends = [_websocket(to_client=to_client) for _ in range(2)]
    if reader.number() % 2:
        for end in ends:
            end.close(START_NS)
    pieces = list(reader.pieces())
    ends[0].receive(b"".join(pieces), START_NS)
    for piece in pieces:
        ends[1].receive(piece, START_NS)
        kept = ends[1]._reader
        assert len(kept._message) + len(kept._buffer) <= 2 * 512 + 14
    assert ends[0].events() == ends[1].events()
    assert ends[0].closed == ends[1].closed
    assert [bytes(piece) for piece in ends[0].to_send()] == list(map(bytes, ends[1].to_send()))


def _websocket(*, to_client: bool) -> WebSocket:
    return WebSocket(
        Role.CLIENT if to_client else Role.SERVER,
        max_message_bytes=512,
        random_bytes=seeded_bytes(1) if to_client else None,
    )


def crypto_record(data: bytes) -> None:
    """Records of a stranger."""
    opener = RecordOpener(bytes(32))
    for piece in Reader(data).pieces():
        with suppress(ProtocolError):
            opener.open(piece)


def _drive(data: bytes, *, to_client: bool) -> None:
    """The state machine of one end: how far the handshake goes first, whether records are
    sealed as they should be, then pieces, with time between them."""
    reader = Reader(data)
    progress, honest = reader.number() % 4, reader.number() % 2
    pair = Pair()
    turns = (pair.down, pair.up, pair.down, pair.up, pair.down)
    for turn in turns[: (0, 1, 3, 5)[progress]]:
        turn()
    end = pair.client if to_client else pair.server
    keys = pair.server_keys()
    sealer = None
    if honest and keys is not None:
        sealer = RecordSealer(keys.control_server if to_client else keys.control_client)
    for piece in reader.pieces():
        plaintext = piece[:1_024]
        end.receive(sealer.seal(plaintext) if sealer and plaintext else piece, pair.now_ns)
        for event in end.events():
            assert keys is not None or not isinstance(event, Started)
        end.to_send()
        assert end.closed == (end.timeout_ns() is None)
        pair.wait(len(piece) * MS)


def session_server_connection(data: bytes) -> None:
    """The server's end of a connection."""
    _drive(data, to_client=False)


def session_client_session(data: bytes) -> None:
    """The client's end of a connection."""
    _drive(data, to_client=True)


def session_server(data: bytes) -> None:
    """A server with several connections that come, speak, go and let time pass."""
    server = Server(
        prs=b"password",
        suite=Suite.ENCRYPTED,
        max_clients=2,
        admission=Admission(limit=2, bans=BanList()),
        random_bytes=seeded_bytes(1),
        streams=lambda: [STREAM],
    )
    now_ns, reader = START_NS, Reader(data)
    for number in range(24):
        if not reader:
            break
        action, connection = divmod(reader.number(), 8)
        if action % 4 == 0:
            server.connected(100 * number + connection, f"192.0.2.{connection}", now_ns)
        elif action % 4 == 1:
            said = reader.piece(reader.number())
            for known in list(server._connections)[connection:][:1]:
                server.received(known, said, now_ns)
        elif action % 4 == 2:
            for known in list(server._connections)[connection:][:1]:
                server.disconnected(known, now_ns)
        else:
            now_ns += reader.number() * 100 * MS
            server.handle_timeout(now_ns)
        server.to_send()
        server.events()
        due_ns = server.timeout_ns()
        assert server.idle or due_ns is not None


def session_inbox(data: bytes) -> None:
    """Datagrams to a client: as they are, or with a right envelope and tag."""
    reader = Reader(data)
    suite = Suite(reader.number() % 3)
    honest = reader.number() % 2
    inbox = ClientInbox(keys=KEYS, suite=suite)
    inbox.announce(0, begin(STREAM, START_NS))
    cipher, now_ns = cipher_for_audio(suite, KEYS), START_NS
    for number, piece in enumerate(reader.pieces()):
        now_ns += len(piece) * MS
        whole = piece
        if honest:
            header = pack_header(piece[0] if piece else 0, 0, KEYS.session, number)
            whole = cipher.seal(header, piece[1:])
        inbox.receive(whole, now_ns)
        inbox.receipts.tally(now_ns, 2 * MS)


def session_gate(data: bytes) -> None:
    """Datagrams to a server: as they are, or with a right envelope and tag."""
    reader = Reader(data)
    honest = reader.number() % 2
    gate: DatagramGate[int] = DatagramGate()
    gate.admit(1, HOST, KEYS)
    cipher, now_ns = cipher_for_client(KEYS), START_NS
    for number, piece in enumerate(reader.pieces()):
        now_ns += len(piece) * MS
        whole = piece
        if honest:
            kind = DatagramType.PROBE | (piece[0] if piece else 0)
            header = pack_header(kind, len(piece) % 256, KEYS.session, number)
            whole = cipher.seal(header, piece[1:])
        opened = gate.receive(whole, HOST, len(piece) % 3, now_ns)
        assert honest or opened is None
        gate.feedback()
        gate.silent(now_ns)


def session_streams(data: bytes) -> None:
    """A STREAM, another one after a reconnection, and blocks of any number and time."""
    reader = Reader(data)
    with suppress(ProtocolError):
        tracker = begin(_stream(reader), START_NS)
        later = resume(_stream(reader), tracker, START_NS + reader.number(2) * MS) or tracker
        now_ns = START_NS
        while reader:
            now_ns += reader.number(2) * MS
            seq, time, size = reader.number(4), reader.number(4), reader.number(2)
            later.place(seq, time, size, now_ns)
        later.place_end(reader.number(4), now_ns)


def _stream(reader: Reader) -> Stream:
    return Stream(
        stream=0,
        codec=reader.number() % 2,
        rate=reader.number(3),
        channels=reader.number(),
        block=reader.number(2),
        seq=reader.number(4),
        time=reader.number(4),
        user=0,
    )


def media_repair(data: bytes) -> None:
    """Blocks and rows in any order, near one another and far away, as parsed rows are."""
    reader = Reader(data)
    solver = RepairSolver(1_000, 0)
    for _ in range(64):
        if not reader:
            break
        action, seq = reader.number(), 1_000 + reader.number()
        if action % 8 == 0:
            seq += reader.number(5)
        if action % 16 < 8:
            payload = reader.piece(reader.number() % 64)
            solver.block(seq, (seq - 1_000) * 4 + action // 64, payload)
        elif action % 16 < 15:
            body = seq.to_bytes(8, "big")[-4:] + reader.piece(1 + reader.number() % 64)
            with suppress(ProtocolError):
                row = feedback.parse_repair(body)
                solver.repair(seq, row.width, row.row)
        else:
            solver.forget_before(seq)


def session_people(data: bytes) -> None:
    """What clients say of names, calls and rooms, as they come, go and let time pass."""
    people, reader, here, now_ns = People(max_people=4), Reader(data), set[int](), START_NS
    for _ in range(48):
        if not reader:
            break
        action, user = divmod(reader.number(), 8)
        now_ns += action * 10 * MS
        if user not in here:
            people.joined(user, bytes((user,)) * 16, now_ns)
            here.add(user)
        elif action % 4 == 0:
            people.left(user, lost=bool(action % 8), now_ns=now_ns)
            here.remove(user)
        elif action % 4 == 1:
            now_ns += reader.number() * 100 * MS
            people.handle_timeout(now_ns)
        else:
            plaintext = reader.piece(reader.number())
            if not plaintext or plaintext[0] not in PEOPLE_TYPES:
                continue
            with suppress(ProtocolError):
                record = parse_people(plaintext)
                if record is not None:
                    people.receive(user, record, now_ns)
        for event in people.events():
            if isinstance(event, Displaced):
                here.discard(event.user)
        for told, each in people.to_send():
            assert told in here
            assert parse_people(pack_people(each)) == each
        assert len(people.roster) <= 4
        people.timeout_ns()


def wire_pair(data: bytes) -> None:
    """What two say to each other for a code, and one who proves it in answer to anything."""
    with suppress(ProtocolError):
        parse_pair(data)
    now_ns = START_NS
    one = EndToEnd(code=b"code", user=1, random_bytes=seeded_bytes(1))
    one.set_partners({2: "two", 3: "three"}, now_ns)
    for piece in Reader(data).pieces():
        now_ns += len(piece) * 10 * MS
        one.receive(2 + len(piece) % 3, piece, now_ns)
        one.handle_timeout(now_ns)
        assert all(user in (2, 3) for user, _ in one.to_send())
        one.events()
        assert not one.secure


def session_relay(data: bytes) -> None:
    """Three sessions that send what they like to one another and come and go."""
    relay: Relay[int] = Relay(rows=RepairEncoder, solver=RepairSolver)
    reader, now_ns, sent = Reader(data), START_NS, 0
    for connection in range(3):
        _join(relay, connection)
    for _ in range(64):
        if not reader:
            break
        action, connection = divmod(reader.number(), 3)
        now_ns += reader.number() * MS
        if action % 16 == 0:
            stream = replace(_stream(reader), stream=0, codec=reader.number())
            relay.talk(connection, stream, now_ns)
        elif action % 16 == 1:
            end = End(stream=reader.number(), seq=reader.number(4), reason=EndReason.STOPPED)
            relay.end(connection, end, now_ns)
        elif action % 16 == 2:
            relay.hear(connection, {reader.number() % 4 for _ in range(2)}, now_ns)
        elif action % 16 == 3:
            relay.overhear({reader.number() % 4})
        elif action == 4:
            relay.leave(connection, now_ns)
            _join(relay, connection)
        elif action % 16 < 8:
            sent += len(list(relay.handle_timeout(now_ns)))
        else:
            kind = sorted(TALK_TYPES)[action % 3]
            byte, body = reader.number() % 8, reader.piece(4) + reader.piece(4 + reader.number())
            relay.numbered(connection, sent, now_ns)
            passed = list(relay.receive(connection, kind, byte, body, now_ns))
            assert all(outgoing[0] != connection for outgoing in passed)
            assert len(passed) <= 3 * 64
        relay.to_send()
        relay.heard()
        relay.timeout_ns()


def _join(relay: Relay[int], connection: int) -> None:
    sender = DatagramSender(cipher=cipher_for_audio(Suite.ENCRYPTED, KEYS), session=KEYS.session)
    downlink: Downlink[int] = Downlink(connection, sender)
    downlink.way = connection
    relay.join(downlink, connection + 1)


def ban_list(data: bytes) -> None:
    """The file of bans, read as the program reads it."""
    bans, bad_lines = parse_ban_list(data.decode("utf-8", "replace"))
    assert len(bans) + len(bad_lines) <= data.count(b"\n") + data.count(b"\r") + len(data) + 1
    for host in ("192.0.2.1", "::1", "fe80::1%eth0", "::ffff:192.0.2.1"):
        assert (host in bans) in (True, False)


_FOLDER = tempfile.TemporaryDirectory(prefix="echowarp-fuzz-")
_FILE = os.path.join(_FOLDER.name, "given")


def _given(data: bytes) -> str:
    Path(_FILE).write_bytes(data)
    return _FILE


def config_file(data: bytes) -> None:
    """A config file, from its bytes on."""
    with suppress(ConfigError):
        parse_conf(read_text(_given(data)), "given")


def password_file(data: bytes) -> None:
    """A file with a password, and the password."""
    with suppress(ConfigError):
        prs = encode_password(read_password(_given(data)))
        assert 1 <= len(prs) <= 1_024


def wav_file(data: bytes) -> None:
    """A WAV file, and the sound in it."""
    with suppress(ConfigError):
        reader = WavReader(_given(data))
        try:
            for _ in range(4):
                assert len(reader.read(100)) <= 200 * reader.channels
            reader.rewind()
            reader.read(1)
        finally:
            reader.close()


def argv(data: bytes) -> None:
    """The command line: words with NUL between them, which no word can contain."""
    words = [os.fsdecode(word) for word in data.split(b"\0")]
    here = os.getcwd()
    os.chdir(_FOLDER.name)
    try:
        with suppress(EchoWarpError):
            parse_command_line(words, {}, stdin=io.BytesIO(b"word\n"))
    finally:
        os.chdir(here)


def impairment(data: bytes) -> None:
    """What --impair says."""
    with suppress(ValueError):
        parse_impairment(data.decode("utf-8", "replace"))


TARGETS: tuple[Target, ...] = (
    *(wire_handshake, wire_records, wire_datagram, wire_feedback, wire_buffer),
    *(wire_http, wire_http_response, wire_http_texts, wire_websocket, crypto_record),
    *(session_server_connection, session_client_session, session_server),
    *(session_inbox, session_gate, session_streams, media_repair),
    *(session_people, session_relay, wire_pair),
    *(ban_list, config_file, password_file, wav_file, argv, impairment),
)
BY_NAME = {target.__name__: target for target in TARGETS}
