"""The README says what the code does: whatever can be compared, is."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from echowarp.app.stats import STREAM_FIELDS
from echowarp.config.argv import Command, parse_command_line
from echowarp.config.cache_options import CACHE_OPTIONS, parse_cache_line
from echowarp.config.conf import parse_conf
from echowarp.config.markdown import TABLES
from echowarp.config.options import OPTIONS
from echowarp.errors import EchoWarpError

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
ENVIRONMENT = {"ECHOWARP_PASSWORD": "secret"}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND_LANGUAGES = ("sh", "bat", "systemd")


def blocks(*languages: str) -> list[str]:
    """The code blocks in these languages."""
    return [text for language, text in BLOCK.findall(README) if language in languages]


def conf_files() -> dict[str, str]:
    """The config files that the README shows, by the name in their first line."""
    return {text.partition("\n")[0].removeprefix("# "): text for text in blocks("ini")}


def command_lines() -> list[list[str]]:
    """The arguments of every call of echowarp in a code block."""
    found = []
    for text in blocks(*COMMAND_LANGUAGES):
        for line in text.splitlines():
            found += commands_in(line.removeprefix("ExecStart="))
    return found


def commands_in(line: str) -> list[list[str]]:
    """The arguments of every call of echowarp in one line of a shell."""
    parts: list[list[str]] = [[]]
    # No \ is an escape: a path of Windows has them, and no other command does.
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split, lexer.escape = True, ""
    for word in lexer:
        if set(word) <= set("|&;<>"):
            parts.append([])
        else:
            parts[-1].append(word)
    return [part[1:] for part in parts if part and re.fullmatch(r"(.*[/\\])?echowarp", part[0])]


def rows(heading: str, first_cell: str) -> list[list[str]]:
    """The cells of the table with this heading whose first column is called so."""
    section = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = section.splitlines()
    (start,) = (n for n, line in enumerate(lines) if line.startswith(f"| {first_cell} |"))
    table = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return table


def names_in(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def test_commands_are_found_in_pipes_and_paths() -> None:
    assert commands_in("sox a - | echowarp --source - | cat") == [["--source", "-"]]
    assert commands_in('/x/bin/echowarp --device "USB mic"') == [["--device", "USB mic"]]
    assert commands_in(r"%HOME%\echowarp\Scripts\echowarp --version") == [["--version"]]
    assert commands_in("pip install echowarp") == []
    assert len(command_lines()) > 12


@pytest.mark.parametrize("arguments", command_lines(), ids=" ".join)
def test_every_command_line_is_understood(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in {**conf_files(), "echowarp.conf": "[echowarp_conf]\n"}.items():
        Path(name).write_text(text, "utf-8")
    if arguments[:1] == ["cache"]:
        assert parse_cache_line(arguments[1:], ENVIRONMENT).notices == ()
        return
    invocation = parse_command_line(arguments, ENVIRONMENT)
    assert arguments or invocation.command is Command.ASK
    assert invocation.notices == ()


def test_config_files_load() -> None:
    assert conf_files()
    for name, text in conf_files().items():
        assert name.endswith(".conf")
        _, notices = parse_conf(text, name)
        assert notices == ()


@pytest.mark.parametrize("mark", TABLES)
def test_an_option_table_is_the_generated_one(mark: str) -> None:
    table = README.partition(f"<!-- {mark} -->\n")[2].partition(f"<!-- /{mark} -->")[0]
    assert table == TABLES[mark](), "run ./dev example"


def test_every_option_that_is_named_exists() -> None:
    flags = {flag for option in (*OPTIONS, *CACHE_OPTIONS) for flag in option.flags}
    spans = [span for span in names_in(re.sub(BLOCK, "", README)) if span.startswith("-")]
    named = {span.split()[0] for span in spans} - {"-"}
    abbreviated = {"--server-addr"}
    assert named - flags == abbreviated


def test_the_exit_codes_are_those_of_the_error_tree() -> None:
    def below(error: type[EchoWarpError]) -> set[int]:
        return {error.exit_status}.union(*(below(each) for each in error.__subclasses__()))

    # The interpreter may have loaded errors of the dialogue, too: their status is 0.
    assert [int(row[0]) for row in rows("Exit codes", "code")] == sorted(below(EchoWarpError))


def test_the_fields_of_a_stream_are_those_of_the_statistics() -> None:
    text = README.partition("The fields of a stream.")[2]
    table = [line for line in text.partition("\n## ")[0].splitlines() if line.startswith("| `")]
    assert [names_in(line)[0] for line in table] == list(STREAM_FIELDS)
    (parts,) = (line for line in table if line.startswith("| `delay_parts_ms`"))
    assert set(STREAM_FIELDS["delay_parts_ms"]) <= set(names_in(parts))


def test_the_symptoms_are_what_the_program_says() -> None:
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "echowarp").rglob("*.py"))
    said = re.sub(r'"\s*f?"', "", sources)  # a text goes on in the next literal
    quoted = [names_in(row[0]) for row in rows("Troubleshooting", "you see")]
    symptoms = [name for names in quoted for name in names]
    assert len(symptoms) > 15
    assert [symptom for symptom in symptoms if symptom not in said] == []


def test_every_relative_link_leads_somewhere() -> None:
    headings = re.findall(r"^#+ (.*)$", re.sub(BLOCK, "", README), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}
    targets = re.findall(r"\]\(([^)]+)\)", README)
    assert len(targets) > 15
    for target in targets:
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif "://" not in target:
            assert (ROOT / target).exists(), target


def test_the_commands_of_dev_are_those_that_it_has() -> None:
    usage = subprocess.run(
        ["sh", ROOT / "dev", "help"], text=True, capture_output=True, check=True
    ).stdout
    has = re.findall(r"^  ([a-z-]+) ", usage, re.MULTILINE)
    table = rows("Developing", "command")
    assert [names_in(row[0])[0].removeprefix("./dev ") for row in table] == has[:-1]
    named = {span.split()[1] for span in names_in(README) if span.startswith("./dev ")}
    assert named <= set(has)
