from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import pytest

from echowarp.session.e2e import MAX_EARLY, MAX_FAILURES, MAX_FAILURES_IN_ALL, EndToEnd, Trust
from echowarp.session.pairing import ANSWER_NS, RETRY_NS, TRANSITIONS, State
from echowarp.wire.pairing import PairMessage, PairType, pack_pair
from tests.crypto.known import bit_flips, counting

S = 1_000_000_000
NAMES = {1: "al", 2: "bo", 3: "cy", 4: "di"}
Meddle = Callable[[int, int, bytes], list[bytes]]


class Room:
    """People with codes, and a server between them that may meddle."""

    def __init__(self, **codes: bytes) -> None:
        ids = {name: user for user, name in NAMES.items()}
        self.people = {
            ids[name]: EndToEnd(code=code, user=ids[name], random_bytes=counting(ids[name]))
            for name, code in codes.items()
        }
        self.now_ns = S
        self.events: dict[int, list[Trust]] = {user: [] for user in self.people}
        self.messages = 0

    def meet(self, meddle: Meddle | None = None) -> None:
        for user, person in self.people.items():
            others = {each: NAMES[each] for each in self.people if each != user}
            person.set_partners(others, self.now_ns)
        self.carry(meddle)

    def carry(self, meddle: Meddle | None = None) -> None:
        busy = True
        while busy:
            busy = False
            for user, person in self.people.items():
                for to, data in person.to_send():
                    busy = True
                    self.messages += 1
                    for each in [data] if meddle is None else meddle(user, to, data):
                        self.people[to].receive(user, each, self.now_ns)
                self.events[user] += person.events()

    def wait(self, duration_ns: int, meddle: Meddle | None = None) -> None:
        self.now_ns += duration_ns
        for person in self.people.values():
            person.handle_timeout(self.now_ns)
        self.carry(meddle)

    def states(self) -> set[State | None]:
        return {
            person.state(other)
            for user, person in self.people.items()
            for other in self.people
            if other != user
        }


def test_two_with_the_same_code_trust_each_other() -> None:
    room = Room(al=b"code", bo=b"code")
    room.meet()
    assert room.states() == {State.PAIRED}
    assert room.messages == 5
    assert all(person.secure for person in room.people.values())
    assert room.events == {1: [Trust(2, State.PAIRED)], 2: [Trust(1, State.PAIRED)]}
    assert room.people[1].timeout_ns() is None


@pytest.mark.parametrize("first", [1, 2])
def test_who_is_told_first_need_not_wait_for_the_other(first: int) -> None:
    """Its first message may come before we know that it is a partner."""
    room = Room(al=b"code", bo=b"code")
    later = 3 - first
    room.people[first].set_partners({later: NAMES[later]}, room.now_ns)
    room.carry()
    assert room.states() <= {None, State.AWAIT_OPEN, State.AWAIT_SHARE}
    room.people[later].set_partners({first: NAMES[first]}, room.now_ns)
    room.carry()
    assert room.states() == {State.PAIRED}


def test_messages_of_strangers_are_not_kept_without_end() -> None:
    room = Room(al=b"code", bo=b"code")
    opening = pack_pair(PairMessage(PairType.OPEN, bytes(16)))
    for user in range(3, 3 + 10 * MAX_EARLY):
        room.people[2].receive(user, opening, S)
        room.people[2].receive(user, opening[:-1], S)
    assert len(room.people[2]._early) == MAX_EARLY


def test_a_talkers_payload_opens_at_its_partners_and_nowhere_else() -> None:
    room = Room(al=b"code", bo=b"code", cy=b"code", di=b"other")
    sealers = {1: room.people[1].begin_stream()}
    room.meet()
    for user in (2, 3):
        sealers[user] = room.people[user].begin_stream()
        room.carry()
    for talker, listener in permutations((1, 2, 3), 2):
        sealed = sealers[talker].seal(1000 + listener, 50, b"pcm!")
        opened = room.people[listener].open(talker, 1000 + listener, 50, sealed)
        assert opened == b"pcm!"
        assert room.people[4].open(talker, 1000 + listener, 50, sealed) is None
        assert room.people[listener].open(listener, 1000 + listener, 50, sealed) is None
    assert not room.people[1].secure, "one of the room has another code"
    assert room.people[1].state(3) is State.PAIRED


def test_each_stream_has_its_own_key_and_the_last_one_still_opens() -> None:
    room = Room(al=b"code", bo=b"code")
    room.meet()
    sealed = []
    for _ in range(3):
        sealer = room.people[1].begin_stream()
        room.carry()
        sealed.append(sealer.seal(7, 0, b"pcm!"))
    assert len(set(sealed)) == 3
    opened = [room.people[2].open(1, 7, 0, each) for each in sealed]
    assert opened == [None, b"pcm!", b"pcm!"]


def test_another_code_is_told_and_after_five_failures_it_is_final() -> None:
    room = Room(al=b"code", bo=b"Code")
    room.meet()
    for _ in range(20):
        room.wait(RETRY_NS)
    assert room.states() == {State.GIVEN_UP}
    for user, other in ((1, 2), (2, 1)):
        failed = [Trust(other, State.FAILED)] * (MAX_FAILURES - 1)
        assert room.events[user] == [*failed, Trust(other, State.GIVEN_UP)]
        assert room.people[user].timeout_ns() is None
    messages = room.messages
    room.wait(3600 * S)
    assert room.messages == messages
    # Who comes back under another id is known by name.
    room.people[1].set_partners({}, room.now_ns)
    room.people[1].set_partners({3: "bo"}, room.now_ns)
    assert room.people[1].state(3) is State.GIVEN_UP


def test_the_user_acts() -> None:
    room = Room(al=b"code", bo=b"Code")
    room.meet()
    for _ in range(20):
        room.wait(RETRY_NS)
    room.people[2]._pairs[1]._code = b"code"
    for person in room.people.values():
        person.begin_again(room.now_ns)
    room.carry()
    assert room.states() == {State.PAIRED}


@pytest.mark.parametrize("first", [1, 2])
def test_who_acts_at_once_after_a_failure_is_heard(first: int) -> None:
    """The other takes no two exchanges within a second."""
    room = Room(al=b"code", bo=b"Code")
    room.meet()
    assert room.states() == {State.FAILED}
    room.people[2]._pairs[1]._code = b"code"
    room.now_ns += S // 10
    for user in (first, 3 - first):
        room.people[user].begin_again(room.now_ns)
        room.carry()
    room.wait(RETRY_NS)
    assert room.states() == {State.PAIRED}


def test_made_up_partners_give_no_more_guesses() -> None:
    """The server plays ever new people, and guesses a code with each."""
    victim = EndToEnd(code=b"code", user=1, random_bytes=counting(1))
    now_ns, guesses = S, 0
    for user in range(2, 200):
        now_ns += ANSWER_NS
        liar = EndToEnd(code=b"guess", user=user, random_bytes=counting(user))
        victim.set_partners({user: f"liar {user}"}, now_ns)
        liar.set_partners({1: "al"}, now_ns)
        for _ in range(4):
            for _, data in liar.to_send():
                victim.receive(user, data, now_ns)
            for _, data in victim.to_send():
                guesses += data[0] == PairType.CONFIRM
                liar.receive(1, data, now_ns)
    assert guesses == MAX_FAILURES_IN_ALL


def liar_guesses(victim: EndToEnd, now_ns: int) -> int:
    """The server plays "bo" with a guess of its own; how many proofs it gets."""
    liar = EndToEnd(code=b"guess", user=2, random_bytes=counting(2))
    victim.set_partners({2: "bo"}, now_ns)
    liar.set_partners({1: "al"}, now_ns)
    proofs = 0
    for _ in range(4):
        for _, data in liar.to_send():
            victim.receive(2, data, now_ns)
        for _, data in victim.to_send():
            proofs += data[0] == PairType.CONFIRM
            if data[0] != PairType.CONFIRM:
                liar.receive(1, data, now_ns)
    return proofs


def test_to_send_the_partner_away_after_the_proof_is_a_failure() -> None:
    """The server lets it leave, and come again, before the answer is due."""
    victim = EndToEnd(code=b"code", user=1, random_bytes=counting(1))
    guesses = 0
    for turn in range(50):
        guesses += liar_guesses(victim, turn * 2 * S)
        victim.set_partners({}, turn * 2 * S + S)
    assert guesses == MAX_FAILURES
    assert victim.events()[-1] == Trust(2, State.GIVEN_UP)


def test_a_true_proof_between_guesses_gives_no_more_of_them() -> None:
    room = Room(al=b"code", bo=b"code")
    victim, guesses = room.people[1], 0
    for _ in range(50):
        for _ in range(MAX_FAILURES - 1):
            room.now_ns += 2 * S
            guesses += liar_guesses(victim, room.now_ns)
            victim.set_partners({}, room.now_ns)
        room.people[2].set_partners({}, room.now_ns)
        room.now_ns += 2 * S
        room.meet()
    assert guesses == MAX_FAILURES_IN_ALL


def test_a_key_that_is_told_again_opens_nothing_twice() -> None:
    """The server has the two prove their code once more, and plays again what it kept."""
    room = Room(al=b"code", bo=b"code")
    room.meet()
    sealer = room.people[1].begin_stream()
    room.carry()
    kept = sealer.seal(7, 0, b"yes!")
    assert room.people[2].open(1, 7, 0, kept) == b"yes!"
    for person in room.people.values():
        person.set_partners({}, room.now_ns)
    room.now_ns += 5 * S
    room.meet()
    assert room.states() == {State.PAIRED}
    assert room.people[2].open(1, 7, 0, kept) is None
    assert room.people[2].open(1, 8, 0, sealer.seal(8, 0, b"no!!")) == b"no!!"


def test_to_break_off_after_the_proof_is_a_failure() -> None:
    def no_accept(_user: int, _to: int, data: bytes) -> list[bytes]:
        return [] if data[0] == PairType.ACCEPT else [data]

    room = Room(al=b"code", bo=b"code")
    room.meet(no_accept)
    assert room.people[1].state(2) is State.AWAIT_ACCEPT
    room.wait(ANSWER_NS, no_accept)
    assert room.events[1] == [Trust(2, State.FAILED)]


def test_a_new_beginning_in_place_of_the_proof_is_one_as_well() -> None:
    alone = EndToEnd(code=b"code", user=1, random_bytes=counting(1))
    alone.set_partners({2: "bo"}, 0)
    opening = pack_pair(PairMessage(PairType.OPEN, bytes(16)))
    reply = pack_pair(PairMessage(PairType.REPLY, b"\x09" + bytes(31)))
    for turn in range(10):
        alone.receive(2, opening, turn * ANSWER_NS // 2)
        alone.receive(2, reply, turn * ANSWER_NS // 2)
    assert alone.state(2) is State.GIVEN_UP
    shares = [data for _, data in alone.to_send() if data[0] == PairType.SHARE]
    assert len(shares) == MAX_FAILURES


def test_a_flood_of_beginnings_costs_little() -> None:
    alone = EndToEnd(code=b"code", user=1, random_bytes=counting(1))
    alone.set_partners({2: "bo"}, 0)
    opening = pack_pair(PairMessage(PairType.OPEN, bytes(16)))
    for ms in range(5000):
        alone.receive(2, opening, ms * 1_000_000)
    assert len(alone.to_send()) == 5


def test_an_unanswered_beginning_is_repeated_and_no_failure() -> None:
    alone = EndToEnd(code=b"code", user=2, random_bytes=counting(1))
    alone.set_partners({1: "al"}, 0)
    for turn in range(1, 10):
        assert alone.timeout_ns() == turn * ANSWER_NS
        alone.handle_timeout(turn * ANSWER_NS)
    assert alone.state(1) is State.AWAIT_SHARE
    assert len(alone.to_send()) == 10
    assert alone.events() == [Trust(1, State.AWAIT_SHARE)], "told once"


def test_one_that_has_given_up_is_told_of_to_who_tries_again() -> None:
    room = Room(al=b"code", bo=b"Code")
    room.meet()
    for _ in range(20):
        room.wait(RETRY_NS)
    for user, person in room.people.items():
        before = len(room.events[user])
        person.begin_again(room.now_ns)
        room.carry()
        room.wait(ANSWER_NS)
        room.wait(ANSWER_NS)
        waits = State.AWAIT_OPEN if user == 1 else State.AWAIT_SHARE
        assert room.events[user][before:] == [Trust(3 - user, waits)]
        person._pairs[3 - user].state = State.GIVEN_UP
        person._pairs[3 - user]._deadline_ns = None


@pytest.mark.parametrize("kind", [k for k in PairType if k not in (PairType.WRONG, PairType.KEY)])
def test_a_changed_bit_in_any_message_is_never_trust(kind: PairType) -> None:
    sample = pack_pair(PairMessage(kind, bytes({1: 16, 2: 48}.get(kind, 32))))
    for bit in range(8, 8 * len(sample), 37):

        def change(_user: int, _to: int, data: bytes, bit: int = bit) -> list[bytes]:
            return [list(bit_flips(data))[bit]] if data[0] == kind else [data]

        room = Room(al=b"code", bo=b"code")
        room.meet(change)
        assert room.people[1].state(2) is not State.PAIRED
        if kind is not PairType.ACCEPT:
            assert room.people[2].state(1) is not State.PAIRED


def test_a_server_that_mirrors_is_no_partner() -> None:
    """What somebody says is no proof when it is said back."""
    for user in (1, 2):
        alone = EndToEnd(code=b"code", user=user, random_bytes=counting(1))
        other = 3 - user
        alone.set_partners({other: "x"}, 0)
        for turn in range(5):
            for _, data in alone.to_send():
                alone.receive(other, data, turn * 2 * S)
        assert alone.state(other) is not State.PAIRED


def test_a_key_that_was_changed_ends_the_trust_in_it() -> None:
    room = Room(al=b"code", bo=b"code")
    room.meet()
    room.people[1].begin_stream()
    ((_, data),) = room.people[1].to_send()
    room.now_ns += 5 * S
    room.people[2].receive(1, data[:-1] + bytes((data[-1] ^ 1,)), room.now_ns)
    assert room.people[2].state(1) is State.AWAIT_SHARE
    room.carry()
    assert room.states() == {State.PAIRED}
    sealer = room.people[1].begin_stream()
    room.carry()
    assert room.people[2].open(1, 1, 1, sealer.seal(1, 1, b"pcm!")) == b"pcm!"


def test_random_bytes_and_strangers_are_ignored() -> None:
    room = Room(al=b"code", bo=b"code")
    room.meet()
    make = counting(9)
    for size in (0, 1, 17, 33, 49, 51, 1000):
        for kind in range(9):
            room.people[1].receive(2, bytes((kind,)) + make(size), room.now_ns)
            room.people[1].receive(77, bytes((kind,)) + make(size), room.now_ns)
    low_order = pack_pair(PairMessage(PairType.REPLY, bytes(32)))
    room.people[1].receive(2, low_order, room.now_ns)


def test_partners_come_and_go() -> None:
    room = Room(al=b"code", bo=b"code", cy=b"code")
    room.meet()
    assert room.people[1].secure
    room.people[1].set_partners({3: "cy"}, room.now_ns)
    assert room.people[1].state(2) is None
    assert room.people[1].secure
    room.people[1].set_partners({1: "al"}, room.now_ns)
    assert not room.people[1].secure


def test_the_table_is_whole() -> None:
    assert set(TRANSITIONS) == set(State)
