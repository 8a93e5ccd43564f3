from __future__ import annotations

from xml.etree import ElementTree

from tests.picture.__main__ import PICTURE
from tests.picture.svg import CELL_WIDTH, Window, draw

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> dict[str, str]:
    """The texts of a picture, each with the width that it is held to."""
    found = ElementTree.fromstring(svg).iter(f"{SVG}text")
    return {each.text or "": each.attrib["textLength"] for each in found}


def test_every_row_is_there_and_keeps_its_columns() -> None:
    window = Window(title="a & b", command="run <it>", rows=["one", "", "two  \u2588"])
    drawn = draw([window, window], columns=10, description='with a "quote"')
    expected = ("a & b", "$ run <it>", "one", "two  \u2588")
    assert texts(drawn) == {text: str(len(text) * CELL_WIDTH) for text in expected}


def test_the_committed_picture_shows_both_sides_of_a_running_stream() -> None:
    shown = list(texts(PICTURE.read_text("utf-8")))
    assert any(text.startswith("streaming") and "1 listener" in text for text in shown)
    assert any(text.startswith("playing  ") and "delay" in text for text in shown)
