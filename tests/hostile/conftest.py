from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.hostile.beside import Beside, Unplugged
from tests.processes import Stage


@pytest.fixture(scope="package")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    """The server that most attacks are made on, and its listener."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.2", 0))
        except OSError:
            pytest.skip("loopback has one address here: attackers would share its ban")
    with Beside(tmp_path_factory.mktemp("beside"), "--ssl") as made:
        yield made


@pytest.fixture(scope="package")
def unplugged(beside: Beside) -> Iterator[Unplugged]:
    """A listener without a cable, from the first attack on, so that nobody has to wait."""
    listener = Unplugged(beside)
    yield listener
    listener.close()


@pytest.fixture
def undisturbed(beside: Beside, unplugged: Unplugged) -> Iterator[Beside]:
    """That server; its listener has lost nothing when the test is over."""
    yield beside
    beside.is_undisturbed()


@pytest.fixture
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Programs of the test's own."""
    with Stage(tmp_path_factory.mktemp("stage")) as made:
        yield made
