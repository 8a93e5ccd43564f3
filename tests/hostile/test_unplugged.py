"""Case 13, the long one: it began with the first test of this folder that shares its server."""

from __future__ import annotations

from tests.hostile.beside import Beside, Unplugged


def test_13_a_cable_that_is_out(undisturbed: Beside, unplugged: Unplugged) -> None:
    """For a minute: the recording has that minute as silence, and goes on in its place."""
    unplugged.comes_back()
