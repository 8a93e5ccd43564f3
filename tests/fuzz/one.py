"""Fuzzes one target: `python -m tests.fuzz.one TARGET [OPTIONS AND FOLDERS OF LIBFUZZER]`."""

from __future__ import annotations

import sys

import atheris


def main() -> None:
    """Runs until the budget is spent; a defect ends the process with its traceback."""
    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=["echowarp"]):
        from tests.fuzz.targets import BY_NAME
    atheris.Setup(sys.argv, BY_NAME[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
