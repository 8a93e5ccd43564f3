from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.crypto.schedule import KeySchedule, SessionKeys
from echowarp.crypto.suite import DatagramCipher, Suite, cipher_for_audio, cipher_for_client
from tests.crypto.known import PROTOCOL, bit_flips, case_name, unhex

KEY = bytes(range(32))
HEADER = bytes.fromhex("0100") + b"session!" + (3).to_bytes(8, "big")
SUITES = list(Suite)
SEALING = [Suite.INTEGRITY, Suite.ENCRYPTED]


def keys_of(case: dict[str, str]) -> SessionKeys:
    return KeySchedule(*unhex(case, "ISK", "frame1", "frame2", "frame3")).keys()


def cipher_of(suite: Suite) -> DatagramCipher:
    return DatagramCipher(suite, b"" if suite is Suite.NONE else KEY)


def test_labels_and_values() -> None:
    assert [(suite.value, suite.label) for suite in Suite] == [
        (0, "none"),
        (1, "integrity"),
        (2, "encrypted"),
    ]


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("case", PROTOCOL, ids=case_name)
def test_known_audio(case: dict[str, str], suite: Suite) -> None:
    body, datagram = unhex(case, "body", f"media_number_3_suite_{suite.value}")
    cipher = cipher_for_audio(suite, keys_of(case))
    assert cipher.seal(datagram[:18], body) == datagram
    assert cipher.open(datagram) == body
    assert len(datagram) == 18 + len(body) + cipher.tag_bytes


@pytest.mark.parametrize("case", PROTOCOL, ids=case_name)
def test_known_probe(case: dict[str, str]) -> None:
    (probe,) = unhex(case, "probe_number_1")
    cipher = cipher_for_client(keys_of(case))
    assert cipher.seal(probe[:18], b"") == probe
    assert cipher.open(probe) == b""
    assert cipher.tag_bytes == 16


@pytest.mark.parametrize("suite", SUITES)
@given(header=st.binary(min_size=18, max_size=18), body=st.binary(max_size=1198))
def test_what_is_sealed_opens(suite: Suite, header: bytes, body: bytes) -> None:
    cipher = cipher_of(suite)
    datagram = cipher.seal(header, body)
    assert datagram.startswith(header)
    assert len(datagram) == 18 + len(body) + cipher.tag_bytes <= 1232
    for form in (datagram, memoryview(datagram), memoryview(bytearray(datagram))):
        opened = cipher.open(form)
        assert opened == body
        assert isinstance(opened, bytes)
    assert cipher_of(suite).open(datagram) == body


@pytest.mark.parametrize("suite", SEALING)
def test_every_flipped_bit_is_refused(suite: Suite) -> None:
    cipher = cipher_of(suite)
    datagram = cipher.seal(HEADER, b"a body of some length")
    for changed in bit_flips(datagram):
        assert cipher.open(changed) is None
        assert cipher.open(memoryview(changed)) is None
    assert cipher.open(datagram) == b"a body of some length"


@pytest.mark.parametrize("suite", SUITES)
def test_a_short_datagram_is_refused(suite: Suite) -> None:
    cipher = cipher_of(suite)
    datagram = cipher.seal(HEADER, b"")
    assert cipher.open(datagram) == b""
    for length in range(len(datagram)):
        assert cipher.open(datagram[:length]) is None


@pytest.mark.parametrize("suite", SEALING)
def test_a_cut_or_lengthened_datagram_is_refused(suite: Suite) -> None:
    cipher = cipher_of(suite)
    datagram = cipher.seal(HEADER, b"body")
    for length in range(len(datagram)):
        assert cipher.open(datagram[:length]) is None
    assert cipher.open(datagram + b"\0") is None


@pytest.mark.parametrize("suite", SEALING)
def test_another_key_is_refused(suite: Suite) -> None:
    datagram = DatagramCipher(suite, KEY[::-1]).seal(HEADER, b"body")
    assert cipher_of(suite).open(datagram) is None


@pytest.mark.parametrize("suite", SEALING)
@given(data=st.binary(max_size=100))
def test_random_bytes_are_refused(suite: Suite, data: bytes) -> None:
    assert cipher_of(suite).open(data) is None


def test_encryption_hides_the_body_and_integrity_shows_it() -> None:
    body = b"in the clear or not"
    assert body in cipher_of(Suite.INTEGRITY).seal(HEADER, body)
    assert body not in cipher_of(Suite.ENCRYPTED).seal(HEADER, body)


def test_client_and_audio_keys_are_not_the_same() -> None:
    keys = keys_of(PROTOCOL[0])
    datagram = cipher_for_client(keys).seal(HEADER, b"body")
    assert cipher_for_audio(Suite.ENCRYPTED, keys).open(datagram) is None


@pytest.mark.parametrize(("suite", "key"), [(Suite.NONE, KEY), (Suite.ENCRYPTED, b"")])
def test_a_key_that_does_not_fit_is_our_bug(suite: Suite, key: bytes) -> None:
    with pytest.raises(AssertionError):
        DatagramCipher(suite, key)


@pytest.mark.parametrize("suite", SUITES)
def test_a_header_of_another_size_is_our_bug(suite: Suite) -> None:
    with pytest.raises(AssertionError):
        cipher_of(suite).seal(HEADER[:-1], b"body")
