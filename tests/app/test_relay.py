"""A relay as a real process, and people who do by hand what programs do, or should not."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from echowarp.crypto.suite import cipher_for_client
from echowarp.media.repair import RepairEncoder
from echowarp.session.datagrams import DatagramSender
from echowarp.wire.codes import Code
from echowarp.wire.datagram import CLIENT_BIT, pack_block
from echowarp.wire.feedback import (
    Repair,
    Report,
    ReportEntry,
    Request,
    pack_repair,
    pack_report,
    pack_request,
    parse_report,
    parse_request,
)
from echowarp.wire.people import (
    NO_TOKEN,
    Appear,
    Call,
    CallAction,
    CallNews,
    Denied,
    Left,
    Listed,
    Pair,
    Room,
    RoomNews,
    User,
    Welcome,
)
from echowarp.wire.people_codes import (
    CallAct,
    CallReason,
    CallState,
    Denial,
    Leaving,
    Presence,
    RoomState,
    Wish,
)
from echowarp.wire.records import End, EndReason, Stream
from tests.hostile.attackers import Refused
from tests.processes import Program, Stage, wait_until
from tests.talkers import (
    ASKED,
    BLOCK,
    FIRST_SEQ,
    FIRST_TIME,
    FRAMES,
    REPAIR,
    RESEND,
    TOLD,
    Talker,
    blocks,
    wait_for_heard,
)

MS = 1_000_000
SOUND = [n.to_bytes(4, "big") * FRAMES for n in range(400)]
"""Blocks that differ."""


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A relay that runs."""
    with Stage(tmp_path_factory.mktemp("relay")) as stage:
        program = stage.server(source="none")
        yield stage
        assert program.leave() == 0
        assert "Traceback" not in program.said


@pytest.fixture
def come(relay: Stage) -> Iterator[Callable[[], Talker]]:
    """Has somebody come, who goes when the test is over."""
    here: list[Talker] = []

    def another() -> Talker:
        here.append(Talker(relay.port))
        return here[-1]

    yield another
    for each in here:
        # Who says goodbye leaves no name behind.
        each.session.close(time.monotonic_ns())
        with contextlib.suppress(OSError):
            each.tell()
        each.close()


Come = Callable[[], Talker]


def test_names_are_refused_with_the_reason_and_a_suggestion(come: Come) -> None:
    come().welcomed("Amélie")
    other = come()
    for name, reason in (
        ("amélie", Denial.TAKEN),
        ("Amélıe", Denial.LOOKS_LIKE),
        ("", Denial.BAD_NAME),
        (" Bo", Denial.BAD_NAME),
        ("Bo\nBo", Denial.BAD_NAME),
        ("Bo\u202ebo", Denial.BAD_NAME),
        ("x" * 33, Denial.BAD_NAME),
        ("\U0001f600" * 32, None),
    ):
        other.enter(name)
        if reason is None:
            assert other.next(Welcome).name == name
        else:
            denied = other.next(Denied)
            assert (denied.reason, bool(denied.suggestion)) == (reason, True), repr(name)
    other.enter("Amélie")
    suggestion = other.next(Denied).suggestion
    other.enter(suggestion)
    assert other.next(Welcome).name == suggestion


def test_everybody_is_told_of_everybody_and_of_each_change(come: Come) -> None:
    ann = come().welcomed("Ann")
    assert ann.next(Listed).users == 0
    bob = come().welcomed("Bob")
    assert [record.name for record in bob.people() if isinstance(record, User)] == ["Ann", "Bob"]
    ann.people()
    ann.tell(Appear(presence=Presence.MUTED))
    told = bob.next(User)
    assert (told.user, told.name, told.presence) == (ann.user, "Ann", Presence.MUTED)
    lister = come()
    lister.enter("", Wish.LIST)
    assert {lister.next(User).name, lister.next(User).name} == {"Ann", "Bob"}
    assert lister.next(Listed).users == 2
    bob.session.close(time.monotonic_ns())
    bob.tell()
    left = ann.next(Left)
    assert (left.user, left.reason) == (bob.user, Leaving.LEFT)


def call(come: Come, one: str, other: str) -> tuple[Talker, Talker]:
    """Two who wait for each other, and hear each other then; both talk."""
    ann, bob = come(), come()
    ann.enter(one, Wish.CALL, other)
    assert ann.next(CallNews).state is CallState.WAITING
    bob.enter(other, Wish.CALL, one)
    for each, peer in ((ann, bob), (bob, ann)):
        connected = each.next(CallNews)
        assert (connected.state, connected.user) == (CallState.CONNECTED, peer.user)
    return ann, bob


def connect(*talkers: Talker) -> None:
    """All talk, and have been told the streams of the others."""
    for each in talkers:
        each.talk()
    for each in talkers:
        others = {peer.user for peer in talkers} - {each.user}
        while not others <= heard_by(each):
            each.pump()


def heard_by(talker: Talker) -> set[int]:
    """Whose streams somebody was told."""
    return {record.user for record in talker.records if isinstance(record, Stream)}


def listen(*talkers: Talker) -> None:
    """All take what has come so far; who speaks takes its time."""
    time.sleep(0.001)
    for each in talkers:
        each.listen()


def test_a_crossing_call_carries_every_sample_both_ways(relay: Stage, come: Come) -> None:
    ann, bob = call(come, "Anton", "Berta")
    stranger = come().welcomed("Carl")
    connect(ann, bob)
    stranger.talk()
    for n in range(100):
        ann.say(n, SOUND[n])
        bob.say(n, SOUND[300 + n])
        stranger.say(n, SOUND[200])
        listen(ann, bob)
    (heard,) = bob.hears().values()
    assert heard == dict(enumerate(SOUND[:100]))
    (heard,) = ann.hears().values()
    assert heard == dict(enumerate(SOUND[300:]))
    assert stranger.hears() == {}
    ann.tell(CallAction(act=CallAct.HANG_UP, user=0))
    for each in (ann, bob):
        ended = each.next(CallNews)
        assert (ended.state, ended.reason) == (CallState.ENDED, CallReason.HUNG_UP)
    assert [record for record in bob.people() if isinstance(record, CallNews)] == []
    assert End(stream=1, seq=(FIRST_SEQ + 100) % 2**32, reason=EndReason.STOPPED) in [
        record for record in bob.records if isinstance(record, End)
    ]
    said = relay.programs[0].said
    for line in ("Anton has come", "Anton waits for Berta", "Berta and Anton are in a call"):
        assert line in said or line.replace("Berta and Anton", "Anton and Berta") in said
    assert "is over: hung up" in said


def test_a_call_rings_and_is_answered_declined_or_refused(come: Come) -> None:
    ann, bob, carl = (come().welcomed(name) for name in ("Anja", "Bert", "Cleo"))
    ann.tell(Call(name="bert"))
    assert ann.next(CallNews).state is CallState.RINGING
    assert bob.next(CallNews).state is CallState.INCOMING
    bob.tell(CallAction(act=CallAct.DECLINE, user=ann.user))
    assert ann.next(CallNews).reason is CallReason.DECLINED
    ann.tell(Call(name="Bert"))
    assert ann.next(CallNews).state is CallState.RINGING
    bob.next(CallNews)
    bob.tell(CallAction(act=CallAct.ANSWER, user=0))
    assert ann.next(CallNews).state is CallState.CONNECTED
    carl.tell(Call(name="Anja"), Call(name="Cleo"), Call(name="\u202e"))
    assert [carl.next(CallNews).reason for _ in range(3)] == [
        CallReason.BUSY,
        CallReason.ONESELF,
        CallReason.BAD_NAME,
    ]
    bob.close()
    carl.tell(Call(name="Nobody"))
    assert carl.next(CallNews).state is CallState.WAITING


def test_in_a_room_each_hears_exactly_the_others(come: Come) -> None:
    names = ("Rita", "Sven", "Tess")
    room = [come().welcomed(name, Wish.ROOM, "Hall") for name in names]
    elsewhere = come().welcomed("Ulla", Wish.ROOM, "Cellar")
    elsewhere.talk()
    connect(*room)
    for n in range(50):
        for k, each in enumerate(room):
            each.say(n, SOUND[100 * k + n])
        elsewhere.say(n, SOUND[399])
        listen(*room)
    for k, each in enumerate(room):
        expected = [dict(enumerate(SOUND[100 * j :][:50])) for j in range(3) if j != k]
        assert sorted(each.hears().values(), key=str) == sorted(expected, key=str)
    assert elsewhere.hears() == {}


def asked_of(talker: Talker, *, quiet_s: float) -> Iterator[int]:
    """The blocks that the relay asks a talker for."""
    for each in talker.come(quiet_s=quiet_s):
        if each.kind == ASKED:
            request = parse_request(each.body)
            for k in request.offsets():
                yield (request.seq + k - FIRST_SEQ) % 2**32


@pytest.mark.parametrize("repair", ["resends", "rows"])
def test_what_is_lost_on_the_way_to_the_relay_is_asked_for_or_solved(
    come: Come, repair: str
) -> None:
    ann, bob = call(come, f"Ida {repair}", f"Jan {repair}")
    connect(ann, bob)
    encoder, lost = RepairEncoder(), set(range(5, 100, 7))
    answered = 0
    for n in range(140):
        if n < 100:
            encoder.add(FIRST_SEQ + n, FIRST_TIME + n * FRAMES, SOUND[n])
            if n not in lost:
                ann.say(n, SOUND[n])
            row = encoder.row(2)
            if repair == "rows" and row is not None:
                ann.send(REPAIR, pack_repair(Repair(row.seq % 2**32, row.width, row.sum)))
        for asked in asked_of(ann, quiet_s=0.004):
            if repair == "resends" and asked <= min(n, 99):
                answered += 1
                ann.say(asked, SOUND[asked], kind=RESEND)
        bob.listen()
    (heard,) = bob.hears().values()
    assert heard == dict(enumerate(SOUND[:100]))
    assert answered >= len(lost) or repair == "rows"


def test_what_is_lost_on_the_way_down_is_sent_again(come: Come) -> None:
    ann, bob = call(come, "Kim", "Lea")
    connect(ann, bob)
    for n in range(20):
        ann.say(n, SOUND[n])
    ((byte, _),) = bob.hears().items()
    bob.udp.send(bob.seal(0x50, byte, pack_request(Request((FIRST_SEQ + 3) % 2**32, 0b101))))
    again = [each for each in bob.come() if each.kind == RESEND]
    assert blocks(again) == {byte: {3: SOUND[3], 5: SOUND[5]}}


def test_a_talker_is_told_how_it_is_heard(come: Come) -> None:
    ann, bob = call(come, "Max", "Nina")
    connect(ann, bob)
    for n in range(20):
        ann.say(n, SOUND[n])
        ann.seal(BLOCK | CLIENT_BIT, ann.byte, b"") if n == 10 else None
    ((byte, _),) = bob.hears().items()
    entry = ReportEntry(byte, 2 * MS, 77 * MS)
    bob.udp.send(bob.seal(0x51, 1, pack_report(Report(19, 20, 0, 9 * MS, (entry,)))))
    while True:
        told = wait_for_heard(ann, TOLD)
        report = parse_report(told.body, told.stream)
        if report.entries[0].target_ns == 77 * MS:
            break
    assert report.bursts == 1
    assert report.highest - report.received + 1 == 1, "one number was spent and not sent"


def test_two_prove_a_code_to_each_other_through_it(come: Come) -> None:
    ann, bob = call(come, "Olga", "Paul")
    stranger = come().welcomed("Quin")
    ann.tell(Pair(user=bob.user, data=b"of no concern to others"))
    stranger.tell(Pair(user=bob.user, data=b"let me in"))
    assert bob.next(Pair) == Pair(user=ann.user, data=b"of no concern to others")
    assert not [record for record in bob.people() if isinstance(record, Pair)]


def test_who_comes_back_displaces_its_ghost_and_has_its_call(come: Come) -> None:
    ann, bob = call(come, "Rosa", "Sam")
    connect(ann, bob)
    again = come()
    again.enter("Rosa", resume=bytes(16))
    assert again.next(Denied).reason is Denial.TAKEN
    again.enter("Rosa", resume=ann.token)
    welcome = again.next(Welcome)
    assert (welcome.resumed, welcome.user) == (True, again.user)
    with pytest.raises(Refused) as ended:
        ann.until(lambda: False)
    assert ended.value.code == Code.DISPLACED
    assert again.next(CallNews).state is CallState.CONNECTED
    connect(again, bob)
    again.say(0, SOUND[0])
    assert list(bob.hears().values()) == [{0: SOUND[0]}]


# Those who mean ill.


def test_ten_times_the_rate_is_cut_and_harms_no_call(come: Come) -> None:
    ann, bob = call(come, "Tom", "Uwe")
    loud, victim = call(come, "Vera", "Willy")
    connect(ann, bob)
    connect(loud, victim)
    stop = threading.Event()

    def flood() -> None:
        n = 0
        while not stop.is_set() and n < 20_000:
            loud.say(n, SOUND[n % 400])
            n += 1
            if n % 10 == 0:
                time.sleep(0.005)

    flooding = threading.Thread(target=flood)
    flooding.start()
    begun_s = time.monotonic()
    heard: dict[int, bytes] = {}
    for n in range(200):
        ann.say(n, SOUND[n])
        for of_stream in blocks(bob.come(quiet_s=0.004)).values():
            heard |= of_stream
    for of_stream in bob.hears().values():
        heard |= of_stream
    stop.set()
    flooding.join()
    took_s = time.monotonic() - begun_s
    passed = sum(len(each) for each in victim.hears().values())
    assert heard == dict(enumerate(SOUND[:200]))
    assert passed <= (took_s + 1.5) * 200 * 1.5, "more than half again of what it needs"


LONG = bytes((0x30, Wish.PRESENCE, 0)) + NO_TOKEN + b"\xff" + b"x" * 255 + b"\0"


@pytest.mark.parametrize(
    "said", [LONG, (10_240).to_bytes(2, "big") + b"x" * 10_240], ids=["name", "record"]
)
def test_a_name_that_no_record_holds_ends_its_own_session(come: Come, said: bytes) -> None:
    ann, bob = call(come, "Iris", "Jan")
    connect(ann, bob)
    mean = come()
    with contextlib.suppress(ConnectionError):
        mean.sock.sendall(mean.sealer().seal(said) if said is LONG else said)
    with pytest.raises(Refused):
        mean.until(lambda: False)
    ann.say(0, SOUND[0])
    assert list(bob.hears().values()) == [{0: SOUND[0]}]


def test_who_left_a_room_is_heard_there_no_more(come: Come) -> None:
    xena, yuri = (come().welcomed(name, Wish.ROOM, "Attic") for name in ("Xena", "Yuri"))
    connect(xena, yuri)
    xena.say(0, SOUND[0])
    assert list(yuri.hears().values()) == [{0: SOUND[0]}]
    xena.tell(Room(name=""))
    while xena.next(RoomNews).state is not RoomState.LEFT:
        pass
    yuri.next(End)
    for n in range(1, 50):
        xena.say(n, SOUND[n])
    assert yuri.hears() == {}


def test_anothers_session_cannot_be_forged(come: Come) -> None:
    ann, bob = call(come, "Zoe", "Abel")
    thief = come().welcomed("Thief")
    connect(ann, bob)
    # Nor by its name, with a token that is somebody else's, or made up.
    other = come()
    for token in (NO_TOKEN, thief.token, other.token, bytes(15) + b"\1"):
        other.enter("Zoe", resume=token)
        assert other.next(Denied).reason is Denial.TAKEN
    thief.talk()
    mine, theirs = thief.join().keys, ann.join().keys
    forged = DatagramSender(cipher=cipher_for_client(mine), session=theirs.session)
    body = pack_block(FIRST_SEQ % 2**32, FIRST_TIME, b"i am " + bytes(100))
    for _ in range(20):
        thief.udp.send(forged.seal(BLOCK | CLIENT_BIT, ann.byte, body))
        # Under its own session, and every byte that another may have.
        for byte in range(5):
            thief.send(BLOCK, body, byte=byte)
    assert bob.hears() == {}
    ann.say(0, SOUND[0])
    assert list(bob.hears().values()) == [{0: SOUND[0]}]


def test_a_thousand_rooms_are_not_joined(come: Come) -> None:
    witness, nomad = come().welcomed("Witness"), come().welcomed("Nomad")
    witness.people()
    nomad.tell(*(Room(name=f"Room {n}") for n in range(1000)))
    answers = [record for record in nomad.people() if isinstance(record, RoomNews)]
    joined = sum(answer.state is RoomState.JOINED for answer in answers)
    assert 50 <= joined <= 130
    assert RoomState.TOO_FAST in {answer.state for answer in answers}
    assert len(answers) < joined + 20
    told = [record for record in witness.people() if isinstance(record, User)]
    assert len(told) < 20
    assert told[-1].room == next(a.name for a in answers[::-1] if a.state is RoomState.JOINED)


def test_a_flood_of_presence_is_told_a_few_times_a_second(come: Come) -> None:
    ann, bob = call(come, "Calm", "Quiet")
    fickle = come().welcomed("Fickle")
    connect(ann, bob)
    bob.people()
    begun_s = time.monotonic()
    for n in range(5000):
        fickle.tell(Appear(presence=Presence(n % 2)))
        if n % 50 == 0:
            ann.say(n // 50, SOUND[n // 50])
            bob.listen()
    took_s = time.monotonic() - begun_s
    assert list(bob.hears().values()) == [dict(enumerate(SOUND[:100]))]
    told = [record for record in bob.people() if isinstance(record, User)]
    assert len(told) <= (took_s + 1) * 5 + 2


def test_a_flood_of_streams_harms_no_call_and_leaves_bytes_for_others(come: Come) -> None:
    """One who asks for streams without end, beside two who talk, and next to one who is to be
    heard by the same listener."""
    ann, bob = call(come, "Gerd", "Hans")
    connect(ann, bob)
    mean, heard, honest = (
        come().welcomed(name, Wish.ROOM, "Cellar") for name in ("Mean", "Heard", "Honest")
    )
    mean.tell(
        *(
            Stream(stream=0, codec=0, rate=48_000, channels=1, block=240, seq=n, time=0, user=0)
            for n in range(2_000)
        )
    )
    waits = threading.Thread(target=mean.settle)
    waits.start()
    for n in range(100):
        ann.say(n, SOUND[n])
        bob.listen()
        time.sleep(0.005)
    assert list(bob.hears().values()) == [dict(enumerate(SOUND[:100]))]
    waits.join()
    answers = [record for record in mean.records if isinstance(record, End) and not record.stream]
    assert len(answers) >= 1_850, "no more than it may have at once"
    honest.talk()
    while heard.next(Stream).user != honest.user:
        pass
    honest.say(0, SOUND[0])
    assert {0: SOUND[0]} in heard.hears().values()


def test_streams_without_end_and_of_no_sense_are_refused(come: Come) -> None:
    ann, bob = call(come, "Dora", "Emil")
    connect(ann, bob)
    for rate, channels, block in ((7, 2, 240), (48_000, 9, 60), (48_000, 2, 0), (48_000, 1, 1)):
        bob.tell(
            Stream(
                stream=0,
                codec=0,
                rate=rate,
                channels=channels,
                block=block,
                seq=1,
                time=1,
                user=0,
            )
        )
        assert bob.next(End).stream == 0
    bob.tell(End(stream=200, seq=0, reason=EndReason.STOPPED))
    ann.say(0, SOUND[0])
    assert list(bob.hears().values()) == [{0: SOUND[0]}]


# The server comes and goes.


def test_a_restart_in_the_middle_of_a_call(stage: Stage) -> None:
    server = stage.server(source="none")

    def both() -> tuple[Talker, Talker]:
        return call(lambda: Talker(stage.port), "Gerd", "Hanna")

    ann, bob = both()
    connect(ann, bob)
    ann.say(0, SOUND[0])
    assert list(bob.hears().values()) == [{0: SOUND[0]}]
    old = ann.token
    assert server.leave() == 0
    for each in (ann, bob):
        with pytest.raises(Refused) as ended:
            each.until(lambda: False)
        assert ended.value.code == Code.CLOSING
        each.close()
    stage.server(source="none")
    ann, bob = Talker(stage.port), Talker(stage.port)
    ann.enter("Gerd", Wish.CALL, "Hanna", resume=old)
    assert ann.next(Welcome).resumed is False
    bob.enter("Hanna", Wish.CALL, "Gerd")
    assert ann.next(CallNews).state is CallState.WAITING
    assert ann.next(CallNews).state is CallState.CONNECTED
    connect(ann, bob)
    ann.say(0, SOUND[1])
    assert list(bob.hears().values()) == [{0: SOUND[1]}]
    ann.close()
    bob.close()


def test_a_full_relay_says_so_and_names_go_with_their_sessions(stage: Stage) -> None:
    stage.server("--max_clients", "2", source="none")
    ann, bob = Talker(stage.port).welcomed("Ann"), Talker(stage.port).welcomed("Bob")
    with pytest.raises(Refused) as full:
        Talker(stage.port)
    assert full.value.code == Code.FULL
    bob.close()
    while ann.next(User).presence is not Presence.AWAY:
        pass
    carl = Talker(stage.port).welcomed("Carl")
    assert ann.next(Left).reason is Leaving.LOST, "who is away makes room"
    ann.close()
    carl.close()


def statistics(program: Program) -> dict[str, int]:
    """The newest figures of who talks."""
    lines = program.stats
    return dict(lines[-1].get("talk") or {}) if lines else {}


def test_its_statistics_count_people_rooms_calls_and_packets(stage: Stage) -> None:
    server = stage.server(source="none")
    ann, bob = call(lambda: Talker(stage.port), "Ann", "Bob")
    carl = Talker(stage.port).welcomed("Carl", Wish.ROOM, "Hall")
    connect(ann, bob)
    for n in range(10):
        ann.say(n, SOUND[n])
    ann.say(10, SOUND[10], byte=99)
    bob.hears()
    expected = {"people": 3, "rooms": 1, "calls": 1, "dropped": 1}
    wait_until(
        lambda: (
            expected.items() <= statistics(server).items() and statistics(server)["forwarded"] >= 10
        ),
        "the statistics tell it",
    )
    for each in (ann, bob, carl):
        each.session.close(time.monotonic_ns())
        each.tell()
        each.close()
    none = {"people": 0, "rooms": 0, "calls": 0}
    wait_until(lambda: none.items() <= statistics(server).items(), "and that they have left")


def test_where_nobody_may_talk_a_name_is_denied(stage: Stage) -> None:
    stage.server(source="tone")
    ann = Talker(stage.port)
    with ann:
        ann.enter("Ann", Wish.CALL, "Bob")
        assert ann.next(Denied).reason is Denial.NOT_HERE
        ann.enter("", Wish.LIST)
        assert ann.next(Denied).reason is Denial.NOT_HERE
        ann.tell(Stream(stream=0, codec=0, rate=8000, channels=1, block=40, seq=1, time=2, user=0))
        assert ann.next(End) == End(stream=0, seq=1, reason=EndReason.STOPPED)
        ann.say(0, SOUND[0])
        # The server's own stream never pauses.
        assert blocks(ann.come(quiet_s=0.001)) == {}


def test_workers_and_talkers_exclude_each_other(stage: Stage) -> None:
    for arguments in (("--talkback",), ("--source", "none")):
        program = stage.run("refused", "--workers", "2", *arguments)
        assert program.ends() == 2
        (line,) = program.said.splitlines()
        assert "--workers" in line
