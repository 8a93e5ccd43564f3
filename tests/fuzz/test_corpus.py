"""Every input that fuzzing has found worth keeping, once more; no fuzzer is needed."""

from __future__ import annotations

import pytest

from tests.fuzz.__main__ import CORPUS
from tests.fuzz.targets import TARGETS, Reader, Target


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.__name__)
def test_the_corpus(target: Target) -> None:
    """No target raises, and none is without an input."""
    inputs = sorted((CORPUS / target.__name__).iterdir())
    assert inputs
    for path in inputs:
        try:
            target(path.read_bytes())
        except BaseException as error:
            error.args = (f"{path}: {error}",)
            raise


def test_there_is_no_corpus_of_nobody() -> None:
    assert {path.name for path in CORPUS.iterdir()} == {t.__name__ for t in TARGETS}


def test_a_reader_gives_all_there_is() -> None:
    reader = Reader(b"\x01\x02\x03\x00\x02ab")
    assert (reader.number(), reader.piece(2)) == (1, b"\x02\x03")
    assert list(reader.pieces()) == [b"ab"]
    assert not reader
    assert reader.number() == 0
