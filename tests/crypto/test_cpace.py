"""Known answers of CPace. Not applicable, because EchoWarp has no such function:
o_cat, transcript_oc and ISK_SY (the symmetric form), sid_output_ir and
sid_output_oc (session ids come from the key schedule instead)."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.crypto.cpace import (
    calculate_generator,
    intermediate_session_key,
    lv_cat,
    prepend_len,
    public_key,
    shared_secret,
)
from echowarp.crypto.schedule import AD_CLIENT, AD_SERVER, CHANNEL_ID
from echowarp.errors import ProtocolError
from tests.crypto.known import CPACE, PROTOCOL, case_name, counting, unhex

APPLICABLE = {
    "prepend_len",
    "lv_cat",
    "transcript_ir",
    "generator",
    "protocol",
    "scalar_mult_vfy",
    "elligator2",
}
NOT_APPLICABLE = {"o_cat", "transcript_oc"}
SECRET = st.binary(min_size=32, max_size=32)
P = 2**255 - 19


def test_no_group_of_vectors_is_forgotten() -> None:
    assert set(CPACE) == APPLICABLE | NOT_APPLICABLE | {"suite", "encoding", "sources"}


@pytest.mark.parametrize("vector", CPACE["prepend_len"])
def test_prepend_len(vector: dict[str, str]) -> None:
    data, out = unhex(vector, "data", "out")
    assert prepend_len(data) == out


def test_prepend_len_of_three_groups() -> None:
    assert prepend_len(bytes(20_000))[:4] == b"\xa0\x9c\x01\x00"


@pytest.mark.parametrize("vector", CPACE["lv_cat"])
def test_lv_cat(vector: dict[str, Any]) -> None:
    parts = [bytes.fromhex(part) for part in vector["parts"]]
    assert lv_cat(*parts).hex() == vector["out"]


@pytest.mark.parametrize("vector", CPACE["transcript_ir"])
def test_transcript(vector: dict[str, str]) -> None:
    ya, ada, yb, adb, out = unhex(vector, "Ya", "ADa", "Yb", "ADb", "out")
    assert lv_cat(ya, ada) + lv_cat(yb, adb) == out
    expected = hashlib.sha512(lv_cat(b"CPace255_ISK", b"sid", b"k") + out).digest()
    assert intermediate_session_key(b"sid", b"k", ya, ada, yb, adb) == expected


def test_generator() -> None:
    vector = CPACE["generator"]
    prs, ci, sid, dsi, text, hashed, g = unhex(
        vector, "PRS", "CI", "sid", "DSI", "generator_string", "hash", "g"
    )
    assert lv_cat(dsi, prs, bytes(vector["zpad_length"]), ci, sid) == text
    assert hashlib.sha512(text).digest()[:32] == hashed
    assert calculate_generator(prs, ci, sid, counting()) == g


@pytest.mark.parametrize("length", [0, 1, 116, 117, 118, 119, 127, 128, 300, 1024])
def test_generator_pads_to_the_hash_block(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text starts with DSI and PRS, and CI begins in the second block or later."""
    hashed: list[bytes] = []
    real = hashlib.sha512

    def spy(text: bytes) -> hashlib._Hash:
        hashed.append(text)
        return real(text)

    monkeypatch.setattr(hashlib, "sha512", spy)
    calculate_generator(b"p" * length, b"ci", b"sid", counting())
    start = lv_cat(b"CPace255", b"p" * length)
    end = lv_cat(b"ci", b"sid")
    assert hashed[0].startswith(start)
    assert hashed[0].endswith(end)
    padding = hashed[0][len(start) : -len(end)]
    # A padding of n < 128 bytes is one length byte and n zeros, and fills up to the block.
    assert padding == bytes([len(padding) - 1]) + bytes(len(padding) - 1)
    assert len(start) + len(padding) == max(128, len(start) + 1)


def test_generator_depends_on_every_input() -> None:
    base = calculate_generator(b"password", b"ci", b"sid", counting())
    for inputs in (
        (b"Password", b"ci", b"sid"),
        (b"password", b"cj", b"sid"),
        (b"password", b"ci", b"sie"),
        (b"", b"ci", b"sid"),
    ):
        assert calculate_generator(*inputs, counting()) != base


@given(st.integers(0, 1000))
def test_generator_does_not_depend_on_blinding(start: int) -> None:
    prs, ci, sid, g = unhex(CPACE["generator"], "PRS", "CI", "sid", "g")
    assert calculate_generator(prs, ci, sid, counting(start)) == g


def test_protocol() -> None:
    vector = CPACE["protocol"]
    prs, ci, sid, g = unhex(vector, "PRS", "CI", "sid", "g")
    a, ada, big_a, b, adb, big_b = unhex(vector, "ya", "ADa", "Ya", "yb", "ADb", "Yb")
    k, isk = unhex(vector, "K", "ISK_IR")
    assert calculate_generator(prs, ci, sid, counting()) == g
    assert public_key(a, g) == big_a
    assert public_key(b, g) == big_b
    assert shared_secret(a, big_b) == shared_secret(b, big_a) == k
    assert intermediate_session_key(sid, k, big_a, ada, big_b, adb) == isk


@pytest.mark.parametrize(
    "point", CPACE["scalar_mult_vfy"]["points"], ids=lambda point: str(point["name"])
)
def test_scalar_mult_vfy(point: dict[str, str]) -> None:
    (scalar,) = unhex(CPACE["scalar_mult_vfy"], "scalar")
    u, out = unhex(point, "u", "out")
    if point["abort"]:
        assert out == bytes(32)
        with pytest.raises(ProtocolError):
            shared_secret(scalar, u)
        with pytest.raises(ProtocolError):
            public_key(scalar, u)
    else:
        assert shared_secret(scalar, u) == out


@pytest.mark.parametrize("point", CPACE["scalar_mult_vfy"]["points"], ids=lambda p: str(p["name"]))
def test_the_top_bit_of_a_point_is_ignored(point: dict[str, str]) -> None:
    """Low-order points stay refused, and the others the same, with the bit turned over."""
    (scalar,) = unhex(CPACE["scalar_mult_vfy"], "scalar")
    u, out = unhex(point, "u", "out")
    turned = u[:31] + bytes([u[31] ^ 0x80])
    if point["abort"]:
        with pytest.raises(ProtocolError):
            shared_secret(scalar, turned)
    else:
        assert shared_secret(scalar, turned) == out


def test_a_point_beyond_the_field_is_reduced() -> None:
    (scalar,) = unhex(CPACE["scalar_mult_vfy"], "scalar")
    for small in (2, 9, 18):
        canonical = shared_secret(scalar, small.to_bytes(32, "little"))
        assert shared_secret(scalar, (P + small).to_bytes(32, "little")) == canonical


@pytest.mark.parametrize("length", [0, 1, 31, 33, 64])
def test_a_point_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ProtocolError):
        shared_secret(bytes(range(32)), b"\x09" * length)


@pytest.mark.parametrize("case", PROTOCOL, ids=case_name)
def test_echowarp_known_answers(case: dict[str, str]) -> None:
    prs, ns, nc, a, b, isk = unhex(case, "PRS", "Ns", "Nc", "ya", "yb", "ISK")
    frame2, frame3 = unhex(case, "frame2", "frame3")
    sid = ns + nc
    g = calculate_generator(prs, CHANNEL_ID, sid, counting())
    big_a, big_b = public_key(a, g), public_key(b, g)
    assert frame2.endswith(nc + big_a)
    assert frame3.endswith(big_b)
    for k in (shared_secret(a, big_b), shared_secret(b, big_a)):
        assert intermediate_session_key(sid, k, big_a, AD_CLIENT, big_b, AD_SERVER) == isk


@given(SECRET, SECRET, st.binary(max_size=40), st.binary(min_size=32, max_size=32))
def test_two_ends_agree_only_on_one_password(a: bytes, b: bytes, prs: bytes, sid: bytes) -> None:
    def exchange(client_prs: bytes, server_prs: bytes) -> tuple[bytes, bytes]:
        big_a = public_key(a, calculate_generator(client_prs, CHANNEL_ID, sid, counting(1)))
        big_b = public_key(b, calculate_generator(server_prs, CHANNEL_ID, sid, counting(2)))
        ends = (shared_secret(a, big_b), shared_secret(b, big_a))
        client, server = (
            intermediate_session_key(sid, k, big_a, AD_CLIENT, big_b, AD_SERVER) for k in ends
        )
        return client, server

    client, server = exchange(prs, prs)
    assert client == server
    client, server = exchange(prs, prs + b"x")
    assert client != server
