"""Appointments are kept in order, and time never waits."""

from __future__ import annotations

from echowarp.app.virtual_time import VirtualTime


def test_appointments_are_kept_in_order() -> None:
    time, kept = VirtualTime(), list[tuple[str, int]]()

    def keep(name: str) -> None:
        kept.append((name, time.now_ns))
        if name == "first":
            time.at(time.now_ns + 5, keep, "made meanwhile")

    time.at(30, keep, "last")
    time.at(10, keep, "first")
    time.at(10, keep, "second")
    time.run(end_ns=30)
    assert kept == [("first", 10), ("second", 10), ("made meanwhile", 15), ("last", 30)]


def test_it_ends_in_time() -> None:
    time, kept = VirtualTime(), list[int]()
    for due_ns in (10, 20, 30):
        time.at(due_ns, kept.append, due_ns)
    time.run(end_ns=20)
    assert kept == [10, 20]


def test_it_stops_when_told_to() -> None:
    time, kept = VirtualTime(), list[int]()
    time.at(10, time.stop)
    time.at(10, kept.append, 10)
    time.run(end_ns=20)
    assert not kept
