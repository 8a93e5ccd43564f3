from __future__ import annotations

import pytest

from echowarp.config.argv import Command, parse_command_line
from echowarp.config.impair import CLEAN, Impairment, parse_impairment
from echowarp.errors import ConfigError


def test_every_part_is_read_in_any_order() -> None:
    text = "seed=7,loss=5%,jitter=20ms, delay=2.5ms,burst=3,duplicate=0.5%"
    assert parse_impairment(text) == Impairment(
        loss_percent=5,
        duplicate_percent=0.5,
        jitter_ms=20,
        delay_ms=2.5,
        burst_packets=3,
        seed=7,
    )


def test_what_is_not_given_is_clean() -> None:
    assert parse_impairment("seed=0") == CLEAN
    assert parse_impairment("delay=600ms,jitter=400ms").jitter_ms == 400
    assert CLEAN.is_clean and not parse_impairment("delay=1ms").is_clean


def test_it_says_what_it_is() -> None:
    assert str(CLEAN) == "a clean network"
    assert str(parse_impairment("loss=5%,burst=3,jitter=20ms")) == (
        "5 % loss in runs of 3, 20 ms jitter each way"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is empty"),
        (" ", "it is empty"),
        ("loss", "lacks its %"),
        ("loss=", "lacks its %"),
        ("loss=5", "lacks its %: give such as loss=5%"),
        ("loss=x%", "is not a number, 0..90 %, such as loss=5%"),
        ("loss=-1%", "0..90 %"),
        ("loss=91%", "0..90 %"),
        ("loss=nan%", "0..90 %"),
        ("loss=5 %", "0..90 %"),
        ("duplicate=101%", "0..100 %"),
        ("jitter=20", "lacks its ms"),
        ("jitter=20s", "lacks its ms"),
        ("delay=1001ms", "0..1000 ms"),
        ("delay=1_0ms", "0..1000 ms"),
        ("delay=600ms,jitter=401ms", "1001 ms together: at most 1000 ms"),
        ("loss=1%,burst=0", "is not a whole number, 1..100, such as burst=3"),
        ("loss=1%,burst=1.5", "is not a whole number"),
        ("burst=3", "give loss as well"),
        ("seed=-1", "is not a whole number"),
        ("seed=4294967296", "0..4294967295"),
        ("loss=1%,loss=2%", "loss is given twice"),
        ("loss=1%,", "'' is none of loss="),
        ("lost=1%", "'lost=1%' is none of loss="),
        ("LOSS=1%", "'LOSS=1%' is none of"),
        ("loss=1%;jitter=1ms", "loss="),
        ("loss==1%", "is not a number"),
    ],
)
def test_every_mistake_is_one_clear_line(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_command_line(["--self_test", f"--impair={text}"], {})
    message = str(caught.value)
    assert message.startswith("--impair: ") and words in message
    assert "\n" not in message and len(message) < 130


@pytest.mark.parametrize(
    ("flag", "command"), [("--self_test", Command.SELF_TEST), ("--simulate", Command.SIMULATE)]
)
def test_the_tests_take_an_impairment_and_what_they_mind(flag: str, command: Command) -> None:
    words = [flag, "--impair", "loss=5%", "--duration=3", "--latency=low"]
    invocation = parse_command_line(words, {"ECHOWARP_PASSWORD": "unused"})
    assert invocation.command is command
    assert invocation.impairment == Impairment(loss_percent=5)
    assert (invocation.settings.duration, invocation.settings.latency) == (3, "low")
    assert invocation.settings.password is None
    assert invocation.notices == ()
    assert parse_command_line([flag], {}).impairment == CLEAN


def test_what_a_test_does_not_mind_is_said() -> None:
    invocation = parse_command_line(["--simulate", "-c", "--sink=null", "-q"], {})
    assert invocation.notices == ("no effect with --simulate: --client, --quiet, --sink",)
    assert parse_command_line(["--self_test", "--ssl"], {}).notices == ()


@pytest.mark.parametrize("others", [["--source=tone"], ["--list_devices"], ["-c", "-a", "h"]])
def test_an_impairment_belongs_to_the_tests(others: list[str]) -> None:
    with pytest.raises(ConfigError, match="--self_test or --simulate only"):
        parse_command_line([*others, "--impair=loss=5%"], {})
