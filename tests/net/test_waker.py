from __future__ import annotations

import select

from echowarp.net.waker import Waker


def is_readable(waker: Waker) -> bool:
    return bool(select.select([waker.reader], [], [], 0)[0])


def test_wakes_once_for_many_calls_and_again_later() -> None:
    waker = Waker()
    assert not is_readable(waker)
    for _ in range(3):
        waker.wake()
    assert is_readable(waker)
    waker.drain()
    assert not is_readable(waker)
    waker.wake()
    assert is_readable(waker)
    waker.close()


def test_never_blocks_however_often_it_is_called() -> None:
    waker = Waker()
    for _ in range(100_000):
        waker.wake()
    waker.drain()
    assert not is_readable(waker)
    waker.close()


def test_after_close_it_is_nothing() -> None:
    waker = Waker()
    waker.close()
    waker.wake()
