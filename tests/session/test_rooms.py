from __future__ import annotations

import random

from echowarp.session.rooms import MAX_TALKERS, RoomAnswer, Rooms
from echowarp.wire.people_codes import RoomState


def test_everybody_in_a_room_hears_everybody_else() -> None:
    rooms = Rooms()
    for seat in (1, 2, 3):
        assert rooms.join(seat, "Hall") == RoomAnswer(RoomState.JOINED, "Hall")
    rooms.join(4, "Cellar")
    assert rooms.others(2) == (1, 3)
    assert rooms.others(4) == ()
    assert rooms.others(9) == ()
    assert (rooms.name_of(1), rooms.name_of(9), len(rooms)) == ("Hall", "", 2)


def test_one_room_at_a_time() -> None:
    rooms = Rooms()
    for number in range(1000):
        rooms.join(1, f"room {number}x")
    assert len(rooms) == 1
    assert rooms.name_of(1) == "room 999x"


def test_an_empty_room_is_gone() -> None:
    rooms = Rooms()
    rooms.join(1, "Hall")
    assert rooms.leave(1) == RoomAnswer(RoomState.LEFT, "Hall")
    assert rooms.leave(1) == RoomAnswer(RoomState.LEFT, "")
    assert len(rooms) == 0
    assert rooms.join(1, "HALL").name == "HALL"


def test_a_room_is_found_whatever_the_case_and_joined_twice_without_effect() -> None:
    rooms = Rooms()
    rooms.join(1, "Hall")
    assert rooms.join(2, "hALL").name == "Hall"
    assert rooms.join(1, "hall").state is RoomState.JOINED
    assert rooms.others(2) == (1,)


def test_a_seventeenth_stays_where_it_is() -> None:
    rooms = Rooms()
    for seat in range(MAX_TALKERS):
        rooms.join(seat, "Hall")
    rooms.join(99, "Cellar")
    assert rooms.join(99, "Hall") == RoomAnswer(RoomState.FULL, "Hall")
    assert rooms.name_of(99) == "Cellar"
    assert rooms.join(3, "Hall").state is RoomState.JOINED
    rooms.leave(5)
    assert rooms.join(99, "Hall").state is RoomState.JOINED


def test_names_that_are_none_and_look_alikes() -> None:
    rooms = Rooms()
    rooms.join(1, "Office")
    assert rooms.join(2, "0ffice") == RoomAnswer(RoomState.LOOKS_LIKE, "Office")
    for text in ("", " Hall", "x" * 10_240, "\u202ellaH"):
        assert rooms.join(1, text).state is RoomState.BAD_NAME
    assert rooms.name_of(1) == "Office"


def test_anything_in_any_order() -> None:
    choose, rooms, model = random.Random(4), Rooms(), dict[int, str]()
    for _ in range(3000):
        seat, text = choose.randint(1, 40), choose.choice("AB")
        if choose.random() < 0.3:
            rooms.leave(seat)
            model.pop(seat, None)
            continue
        size = sum(where == text for where in model.values())
        may = size < MAX_TALKERS or model.get(seat) == text
        assert (rooms.join(seat, text).state is RoomState.JOINED) == may
        if may:
            model[seat] = text
        assert rooms.name_of(seat) == model.get(seat, "")
        others = {each for each, where in model.items() if where == text and each != seat}
        assert not may or set(rooms.others(seat)) == others
        assert len(rooms) == len(set(model.values()))
