from __future__ import annotations

from echowarp.session.stream_bytes import BYTES, REST_NS, SHARE, StreamBytes

S = 1_000_000_000


def test_the_lowest_first_and_never_the_servers_own() -> None:
    given = StreamBytes()
    assert [given.take(0) for _ in range(3)] == [1, 2, 3]


def test_a_freed_one_rests_for_30_s() -> None:
    given = StreamBytes()
    given.take(0)
    given.free(1, 5 * S)
    assert given.take(5 * S) == 2
    assert given.take(35 * S - 1) == 3
    assert given.take(35 * S) == 1
    assert REST_NS == 30 * S


def test_when_all_are_given_there_is_none() -> None:
    given = StreamBytes()
    assert [given.take(0) for _ in range(256)] == [*range(1, 256), None]
    given.free(77, 0)
    assert given.take(0) is None
    assert given.take(REST_NS) == 77


def test_one_talker_takes_its_share_and_no_more() -> None:
    given = StreamBytes()
    for _ in range(100):
        byte = given.take(0, talker=7)
        if byte is not None:
            given.free(byte, 0)
    assert given.take(0, talker=7) is None
    assert given.take(0, talker=8) == SHARE + 1
    assert given.take(0) == SHARE + 2
    assert given.take(REST_NS, talker=7) == 1
    assert len(BYTES) > 15 * SHARE, "a whole room leaves some for what is said by the session"
