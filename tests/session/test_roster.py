from __future__ import annotations

import pytest

from echowarp.session.roster import CHANGE_EVERY_NS, KEPT_NS, Entered, Gone, Roster
from echowarp.wire.people import NO_TOKEN, Denied, Left, Listed, PeopleRecord, User, Welcome
from echowarp.wire.people_codes import Denial, Leaving, Presence

S = 1_000_000_000
NOTHING = Presence(0)


def token(user: int) -> bytes:
    return user.to_bytes(16, "big")


class Server:
    """A roster, and what each user was told."""

    def __init__(self, *names: str, max_people: int = 64) -> None:
        self.roster = Roster(max_people=max_people)
        for user, name in enumerate(names, 1):
            self.enter(user, name)
        self.told()

    def enter(
        self, user: int, name: str, *, resume: bytes = NO_TOKEN, now_ns: int = 0
    ) -> Entered | None:
        return self.roster.enter(
            user, name, token=token(user), resume=resume, presence=NOTHING, now_ns=now_ns
        )

    def told(self) -> dict[int, list[PeopleRecord]]:
        told: dict[int, list[PeopleRecord]] = {}
        for user, record in self.roster.to_send():
            told.setdefault(user, []).append(record)
        return told


def shown(user: int, name: str, presence: Presence = NOTHING, room: str = "") -> User:
    return User(user=user, presence=presence, name=name, room=room)


def test_who_comes_is_told_of_all_and_all_of_it() -> None:
    server = Server("Al", "Bo")
    assert server.enter(3, "Cy") == Entered(3, True, False, None)
    assert server.told() == {
        3: [
            Welcome(user=3, resumed=False, name="Cy"),
            shown(1, "Al"),
            shown(2, "Bo"),
            Listed(users=2),
            shown(3, "Cy"),
        ],
        1: [shown(3, "Cy")],
        2: [shown(3, "Cy")],
    }
    assert (server.roster.find("cy"), server.roster.seat_of(3), len(server.roster)) == (3, 3, 3)


@pytest.mark.parametrize(
    ("name", "reason", "suggestion"),
    [
        ("AL", Denial.TAKEN, "AL2"),
        ("A1", Denial.LOOKS_LIKE, "A12"),
        ("\u202eAl", Denial.BAD_NAME, "guest2"),
        ("x" * 10_240, Denial.BAD_NAME, "guest2"),
        ("", Denial.BAD_NAME, "guest2"),
    ],
)
def test_refused_names(name: str, reason: Denial, suggestion: str) -> None:
    server = Server("Al")
    assert server.enter(2, name) is None
    assert server.told() == {2: [Denied(reason=reason, suggestion=suggestion)]}
    assert len(server.roster) == 1


def test_a_crowded_server() -> None:
    server = Server("Al", "Bo", max_people=2)
    assert server.enter(3, "Cy") is None
    assert server.told() == {3: [Denied(reason=Denial.CROWDED, suggestion="")]}
    server.roster.lost(1, 0)
    server.roster.lost(2, S)
    server.told()
    assert server.enter(3, "Cy") is not None, "who is only kept makes room"
    assert server.roster.find("al") is None
    assert server.roster.find("bo") is not None
    assert server.roster.gone() == [Gone(1, True, 1, "Al")]


def test_goodbye() -> None:
    server = Server("Al", "Bo")
    server.roster.left(1)
    assert server.told() == {2: [Left(user=1, reason=Leaving.LEFT)]}
    assert server.roster.gone() == [Gone(1, False, 1, "Al")]
    assert server.enter(3, "Al") == Entered(3, True, False, None)
    server.roster.left(9)
    server.roster.lost(9, 0)


def test_a_lost_session_keeps_its_name_for_15_s() -> None:
    server = Server("Al", "Bo")
    server.roster.lost(1, S)
    assert server.told() == {2: [shown(1, "Al", Presence.AWAY)]}
    assert server.roster.user_of(1) is None
    assert server.roster.known_as(1) == (1, "Al")
    assert server.enter(3, "Al", now_ns=S) is None
    assert server.enter(3, "Al", resume=token(7), now_ns=S) is None
    assert server.roster.timeout_ns() == S + KEPT_NS
    server.told()
    server.roster.handle_timeout(S + KEPT_NS)
    assert server.told() == {2: [Left(user=1, reason=Leaving.LOST)]}
    assert server.roster.gone() == [Gone(1, True, 1, "Al")]
    assert server.roster.timeout_ns() is None


def test_it_is_taken_back_with_the_token() -> None:
    server = Server("Al", "Bo")
    server.roster.move(1, "Hall", S)
    server.roster.lost(1, 2 * S)
    server.told()
    assert server.enter(3, "al", resume=token(1), now_ns=3 * S) == Entered(1, False, True, None)
    told = server.told()
    assert told[2] == [Left(user=1, reason=Leaving.RETURNED), shown(3, "Al", room="Hall")]
    assert told[3][0] == Welcome(user=3, resumed=True, name="Al")
    assert server.roster.user_of(1) == 3
    # The old token has served.
    server.roster.lost(3, 4 * S)
    assert server.enter(4, "Al", resume=token(1), now_ns=4 * S) is None
    assert server.enter(4, "Al", resume=token(3), now_ns=4 * S) is not None


def test_a_ghost_that_still_seems_to_run_is_displaced() -> None:
    server = Server("Al", "Bo")
    assert server.enter(3, "Al", resume=token(1)) == Entered(1, False, True, 1)
    server.told()
    server.roster.left(1)
    server.roster.lost(1, 0)
    assert server.told() == {}
    assert (server.roster.seat_of(3), server.roster.seat_of(1)) == (1, None)


def test_a_token_opens_its_own_name_only() -> None:
    server = Server("Al", "Bo")
    assert server.enter(3, "Bo", resume=token(1)) is None
    entered = server.enter(3, "Cy", resume=token(1))
    assert entered is not None and not entered.resumed


def test_another_name() -> None:
    server = Server("Al", "Bo")
    assert server.enter(1, "Alan", now_ns=S) == Entered(1, False, False, None)
    told = server.told()
    assert told[1][0] == Welcome(user=1, resumed=False, name="Alan")
    assert told[2] == [shown(1, "Alan")]
    assert server.enter(1, "ALAN", now_ns=S) is not None, "its own name is no other's"
    assert server.enter(1, "bo", now_ns=S) is None
    assert server.enter(2, "Al", now_ns=S) is not None


def test_changes_are_told_at_once_and_then_rarely() -> None:
    server = Server("Al", "Bo")
    server.roster.appear(1, Presence.TALKING, S)
    assert server.told()[2] == [shown(1, "Al", Presence.TALKING)]
    for k in range(1000):
        server.roster.appear(1, Presence.MUTED if k % 2 else Presence.TALKING, S + k)
    assert server.told() == {}
    assert server.roster.timeout_ns() == S + CHANGE_EVERY_NS
    server.roster.handle_timeout(S + CHANGE_EVERY_NS)
    assert server.told()[2] == [shown(1, "Al", Presence.MUTED)]
    assert server.roster.timeout_ns() is None


def test_a_flood_of_changes_is_five_a_second() -> None:
    server = Server("Al", "Bo")
    told = 0
    for ms in range(10_000):
        now_ns = S + ms * 1_000_000
        server.roster.appear(1, Presence.MUTED if ms % 2 else NOTHING, now_ns)
        due_ns = server.roster.timeout_ns()
        if due_ns is not None and due_ns <= now_ns:
            server.roster.handle_timeout(now_ns)
        told += len(server.told().get(2, []))
    assert 45 <= told <= 51


def test_only_the_server_says_that_somebody_is_away() -> None:
    server = Server("Al", "Bo")
    server.roster.appear(1, Presence.AWAY, S)
    assert server.told() == {}


def test_the_list_alone() -> None:
    server = Server("Al", "Bo")
    server.roster.list_to(9)
    assert server.told() == {9: [shown(1, "Al"), shown(2, "Bo"), Listed(users=2)]}
    server.enter(3, "Cy")
    assert 9 not in server.told()
