from __future__ import annotations

from dataclasses import replace

from echowarp.ui.cells import cells
from echowarp.ui.status import PersonView, View, render

VIEW = View(
    state="playing",
    peers="signed",
    sound="48000 Hz, stereo",
    level_db=-20.0,
    delay_ms=42.4,
    loss_percent=0.0,
    bits_per_s=1_600_000,
    reason="40 ms: a quiet network",
)
USUAL = (
    "playing  ########----  -20.0 dB  delay 42 ms  loss 0.0 %  1.60 Mbit/s  signed"
    "  40 ms: a quiet network  48000 Hz, stereo"
)
ROOM = View(
    state="in room hall",
    peers="encrypted",
    sound="48000 Hz, stereo",
    level_db=-20.0,
    delay_ms=42.4,
    loss_percent=0.0,
    bits_per_s=1_600_000,
    safety="end to end",
    people=(
        PersonView(name="you, zoë", level_db=-96.0, note="muted: m speaks"),
        PersonView(name="anna", level_db=-20.0, talks=True, delay_ms=45.2, loss_percent=0.04),
        PersonView(name="山田太郎", level_db=-96.0, note="muted", delay_ms=44.0, loss_percent=None),
        PersonView(name="bob", note="in room cellar"),
    ),
)


def shown(view: View, columns: int = 200, lines: int = 50) -> tuple[str, ...]:
    return render(view, unicode=False, columns=columns, lines=lines)


def test_the_most_telling_comes_first() -> None:
    assert shown(VIEW) == (USUAL,)


def test_an_unusual_volume_stands_beside_the_level() -> None:
    (line,) = shown(replace(VIEW, volume="volume 80 %, muted"))
    assert line == USUAL.replace("dB", "dB  volume 80 %, muted")


def test_what_does_not_fit_is_left_out_whole() -> None:
    for columns in range(10, 150):
        (line,) = shown(VIEW, columns)
        assert len(line) < columns
        assert set(line.split("  ")) <= set(USUAL.split("  "))


def test_everybody_has_a_row_with_level_delay_and_loss() -> None:
    assert shown(ROOM) == (
        "  you, zoë  ------------  -96.0 dB  muted: m speaks",
        "* anna      ########----  -20.0 dB  delay 45 ms  loss 0.0 %",
        "  山田太郎  ------------  -96.0 dB  delay 44 ms  muted",
        "  bob       in room cellar",
        "in room hall  end to end  1.60 Mbit/s  encrypted  40 ms: a quiet network"
        "  48000 Hz, stereo".replace("  40 ms: a quiet network", ""),
    )


def test_rows_fit_a_narrow_terminal() -> None:
    for columns in range(24, 80):
        for row in shown(ROOM, columns):
            assert cells(row) < columns


def test_a_long_name_is_cut() -> None:
    named = replace(ROOM, people=(PersonView(name="x" * 32, level_db=-20.0),))
    assert shown(named)[0] == f"  {'x' * 20}  ########----  -20.0 dB"


def test_people_take_half_of_the_terminal_at_most() -> None:
    people = tuple(PersonView(name=f"user{n}") for n in range(16))
    rows = shown(replace(ROOM, people=people), lines=24)
    assert len(rows) == 12
    assert rows[9].split() == ["user9"]
    assert rows[10] == "  and 6 more: /list"
    assert len(shown(replace(ROOM, people=people), lines=40)) == 17
    assert len(shown(replace(ROOM, people=people), lines=2)) == 2
