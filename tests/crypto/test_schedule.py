from __future__ import annotations

import dataclasses
import hashlib
import hmac

import pytest

from echowarp.crypto.schedule import KeySchedule, SessionKeys, tags_equal
from tests.crypto.known import PROTOCOL, bit_flips, case_name, unhex

NAMES = [field.name for field in dataclasses.fields(SessionKeys)]


def schedule_from(inputs: tuple[bytes, ...]) -> KeySchedule:
    isk, frame1, frame2, frame3 = inputs
    return KeySchedule(isk, frame1, frame2, frame3)


def schedule_of(case: dict[str, str]) -> KeySchedule:
    return schedule_from(unhex(case, "ISK", "frame1", "frame2", "frame3"))


@pytest.mark.parametrize("case", PROTOCOL, ids=case_name)
def test_tags_and_keys(case: dict[str, str]) -> None:
    schedule = schedule_of(case)
    assert (schedule.confirm_client(), schedule.confirm_server()) == unhex(case, "Ta", "Tb")
    keys = schedule.keys()
    for name in NAMES:
        assert getattr(keys, name).hex() == case[name], name


@pytest.mark.parametrize("case", PROTOCOL, ids=case_name)
def test_steps_in_between(case: dict[str, str]) -> None:
    """TH and PRK as the vectors have them lead to what the schedule gives."""
    th, prk, isk = unhex(case, "TH", "PRK", "ISK")
    assert hashlib.sha256(b"".join(unhex(case, "frame1", "frame2", "frame3"))).digest() == th
    assert hmac.digest(th, isk, "sha256") == prk
    key = hmac.digest(prk, b"EchoWarp/1 confirm client\x01", "sha256")
    assert hmac.digest(key, th, "sha256") == schedule_of(case).confirm_client()


def test_all_secrets_differ() -> None:
    schedule = schedule_of(PROTOCOL[0])
    keys = schedule.keys()
    values = [getattr(keys, name) for name in NAMES]
    values += [schedule.confirm_client(), schedule.confirm_server()]
    assert len({value[:8] for value in values}) == len(values)


def test_any_changed_bit_of_the_handshake_changes_both_tags() -> None:
    isk, *frames = unhex(PROTOCOL[0], "ISK", "frame1", "frame2", "frame3")
    good = schedule_of(PROTOCOL[0])
    for index, frame in enumerate(frames):
        for changed in bit_flips(frame):
            bad = schedule_from((isk, *frames[:index], changed, *frames[index + 1 :]))
            assert bad.confirm_client() != good.confirm_client()
            assert bad.confirm_server() != good.confirm_server()
    for changed in bit_flips(isk):
        assert schedule_from((changed, *frames)).confirm_client() != good.confirm_client()


def test_no_secret_is_shown() -> None:
    schedule = schedule_of(PROTOCOL[0])
    assert repr(schedule.keys()) == str(schedule.keys()) == "SessionKeys()"
    assert "object at" in repr(schedule)


def test_tags_equal() -> None:
    tag = bytes(range(32))
    assert tags_equal(tag, bytes(bytearray(tag)))
    assert not tags_equal(tag, tag[:-1])
    assert not any(tags_equal(tag, changed) for changed in bit_flips(tag))
