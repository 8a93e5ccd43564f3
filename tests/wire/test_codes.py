from __future__ import annotations

from echowarp.wire.codes import Code, known_code


def test_every_code_of_the_protocol() -> None:
    assert {code.value: code.name for code in Code} == {
        200: "FINISHED",
        400: "INVALID",
        401: "WRONG_PASSWORD",
        403: "BANNED",
        408: "TIMEOUT",
        409: "VERSION",
        410: "CLOSING",
        411: "DISPLACED",
        429: "TOO_MANY",
        503: "FULL",
    }


def test_known_code_over_all_of_u16() -> None:
    known = {value: code for value in range(65536) if (code := known_code(value)) is not None}
    assert known == {code.value: code for code in Code}
