"""Holds the folders to what each may import, touch and grow to.

Imports are read with `ast`, so one inside a function or under TYPE_CHECKING
counts like any other. Each rule is fed bad source as well, and must complain.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "echowarp"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


EVERYTHING = frozenset(
    {"media", "wire", "crypto", "config", "session", "device", "net", "ui", "web", "app"}
)
MAY_IMPORT: dict[str, frozenset[str]] = {
    "media": frozenset(),
    "wire": frozenset(),
    "crypto": frozenset(),
    "config": frozenset(),
    "web": frozenset(),
    "session": frozenset({"wire", "crypto"}),
    "device": frozenset({"media"}),
    "net": frozenset({"wire"}),
    "ui": frozenset({"config"}),
    "app": EVERYTHING,
    "main": EVERYTHING,
    "__main__": frozenset({"main"}),
    "errors": frozenset(),
    "__init__": frozenset(),
}
"""What each folder or module beside them may import, besides itself, `errors` and
the package's own `__version__`."""

PURE = frozenset({"media", "wire", "crypto", "session"})
IMPURE_MODULES = _words("""
    _thread builtins concurrent datetime http multiprocessing os pathlib pyaudio pyaudiowpatch
    queue random secrets select selectors shutil signal socket socketserver ssl subprocess
    tempfile threading time urllib uuid
    """)
IMPURE_NAMES = _words("open print input exec eval compile breakpoint __import__ globals")
IMPURE_ATTRIBUTES = frozenset({"urandom", "generate_key", "generate"})
"""Randomness by the back door: it comes in as `random_bytes`."""

BANNED_MODULES = _words("""
    aifc asynchat asyncio asyncore audioop cgi cgitb chunk configparser crypt distutils imghdr
    imp mailcap msilib nis nntplib ossaudiodev pipes sndhdr spwd sunau telnetlib uu xdrlib
    """)
"""Deprecated or gone from the standard library, or the wrong tool here."""

THIRD_PARTY = {"cryptography": "crypto", "pyaudio": "device", "pyaudiowpatch": "device"}
"""The run-time requirements, and the one folder that touches each."""

CHOOSES_AT_RUN_TIME = "device"
"""The one folder that may import by a computed name: PyAudio, or its fork."""

MAX_MODULE_LINES = 350
MAX_FUNCTION_LINES = 60


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that a source imports, wherever; '?' for one that cannot be told."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            name = "." * node.level + (node.module or "")
            yield from (
                f"{name}.{each.name}" if name == "echowarp" else name for each in node.names
            )
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
            known = node.args and isinstance(node.args[0], ast.Constant)
            yield str(node.args[0].value) if known else "?"  # type: ignore[attr-defined]


def _called(call: ast.Call) -> str:
    function = call.func
    return getattr(function, "id", getattr(function, "attr", ""))


def import_complaints(part: str, source: str) -> list[str]:
    """What is wrong with the imports of a source text in folder (or module) `part`."""
    return [
        complaint
        for name in imports(ast.parse(source))
        if (complaint := _about_import(part, name)) is not None
    ]


def _about_import(part: str, name: str) -> str | None:
    top, _, rest = name.partition(".")
    if name == "?" and part == CHOOSES_AT_RUN_TIME:
        return None
    if name == "?" or name.startswith("."):
        return f"{part}: imports by name or relatively, which hides what it imports"
    if top == "echowarp":
        target = rest.partition(".")[0]
        if target in {part, "errors", "__version__"} | MAY_IMPORT[part]:
            return None
        return f"{part} may not import {target or 'the whole package'}"
    if top in BANNED_MODULES:
        return f"{part}: {top} is used nowhere"
    if part in PURE and top in IMPURE_MODULES:
        return f"{part} is pure and may not import {top}"
    if top in THIRD_PARTY:
        return None if THIRD_PARTY[top] == part else f"{part} may not import {top}"
    return None if top in sys.stdlib_module_names else f"{part}: {top} is not a requirement"


def purity_complaints(part: str, source: str) -> list[str]:
    """What a source text in a pure folder does that has an effect outside."""
    if part not in PURE:
        return []
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and node.id in IMPURE_NAMES:
            found.append(f"{part} is pure and may not use {node.id}")
        if isinstance(node, ast.Attribute) and (
            node.attr in IMPURE_ATTRIBUTES or ast.unparse(node) in ("io.open", "io.FileIO")
        ):
            found.append(f"{part} is pure and may not use {ast.unparse(node)}")
    return found


def size_complaints(part: str, source: str) -> list[str]:
    """Modules and functions that have grown too long."""
    lines = len(source.splitlines())
    found = [f"{part}: {lines} lines"] if lines > MAX_MODULE_LINES else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                found.append(f"{part}: {node.name} has {length} lines")
    return found


def docstring_complaints(part: str, source: str) -> list[str]:
    """The module, and public classes and functions, without a docstring."""
    tree = ast.parse(source)
    found = [] if ast.get_docstring(tree) else [f"{part}: the module has no docstring"]
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            found.append(f"{part}: {node.name} has no docstring")
    return found


RULES = (import_complaints, purity_complaints, size_complaints, docstring_complaints)


def part_of(path: Path) -> str:
    """The folder that a module is in, or its own name beside the folders."""
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_keeps_the_rules(path: Path) -> None:
    source = path.read_text("utf-8")
    assert [complaint for rule in RULES for complaint in rule(part_of(path), source)] == []


def test_every_folder_is_in_the_table() -> None:
    assert {part_of(path) for path in MODULES} <= set(MAY_IMPORT)


def test_the_table_has_no_circle() -> None:
    """Layers stay layers: nothing reaches itself through what it may import."""
    for part in MAY_IMPORT:
        reached: set[str] = set()
        waiting = list(MAY_IMPORT[part] - {part})
        while waiting:
            at = waiting.pop()
            if at not in reached:
                reached.add(at)
                waiting += MAY_IMPORT[at] - {at}
        assert part not in reached


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("media", "import echowarp.wire.datagram"),
        ("media", "from echowarp import wire"),
        ("media", "from echowarp import *"),
        ("wire", "from echowarp.crypto import suite"),
        ("wire", "from ..crypto import suite"),
        ("wire", "from . import serial"),
        ("wire", "import echowarp"),
        ("session", "from echowarp.net.udp import Socket"),
        ("device", "def f():\n    from echowarp.session import server"),
        ("net", "if TYPE_CHECKING:\n    import echowarp.session.server"),
        ("ui", "try:\n    import echowarp.app\nexcept ImportError:\n    pass"),
        ("config", "import importlib\nimportlib.import_module('echowarp.app')"),
        ("config", "__import__('echowarp.app')"),
        ("config", "from importlib import import_module\nimport_module(name)"),
        ("errors", "import echowarp.config"),
        ("crypto", "import os"),
        ("crypto", "from os import urandom"),
        ("session", "from time import monotonic_ns"),
        ("session", "import concurrent.futures"),
        ("media", "def f():\n    import pathlib as p"),
        ("media", "from builtins import open"),
        ("media", "import numpy"),
        ("app", "import configparser"),
        ("device", "import audioop"),
        ("net", "import asyncio.events"),
        ("session", "from cryptography.hazmat.primitives import hashes"),
        ("app", "import pyaudio"),
        ("app", "import pytest"),
        ("app", "import tests.recordings"),
    ],
)
def test_bad_imports_are_found(part: str, source: str) -> None:
    assert import_complaints(part, source)


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("media", "import echowarp.errors\nfrom echowarp.media.format import Format"),
        ("session", "from echowarp.wire import codes\nfrom echowarp.crypto.suite import Suite"),
        ("device", "def f():\n    import pyaudio"),
        ("device", "import importlib\nimportlib.import_module(name)"),
        ("crypto", "from cryptography.hazmat.primitives import hashes"),
        ("ui", "from echowarp import __version__\nimport logging"),
        ("app", "import echowarp.session.server, threading, time"),
        ("main", "from echowarp.app import server\nfrom echowarp.config import argv"),
    ],
)
def test_good_imports_pass(part: str, source: str) -> None:
    assert import_complaints(part, source) == []


@pytest.mark.parametrize(
    "line",
    [
        "print('x')",
        "f = open",
        "open('x').read()",
        "io.open('x')",
        "AESGCM.generate_key(256)",
        "X25519PrivateKey.generate()",
        "exec(text)",
    ],
)
def test_effects_in_a_pure_folder_are_found(line: str) -> None:
    assert purity_complaints("session", f"def f():\n    {line}")
    assert purity_complaints("app", f"def f():\n    {line}") == []


def test_a_method_called_open_is_not_the_function() -> None:
    assert purity_complaints("crypto", "def f(suite):\n    return suite.open(b'')") == []


def test_long_modules_and_functions_are_found() -> None:
    assert size_complaints("media", "x = 1\n" * MAX_MODULE_LINES) == []
    assert size_complaints("media", "x = 1\n" * (MAX_MODULE_LINES + 1))
    body = "    x = 1\n" * (MAX_FUNCTION_LINES - 1)
    assert size_complaints("media", f"def f():\n{body}") == []
    assert size_complaints("media", f"class A:\n  def f(self):\n{body}    y = 1\n")


def test_missing_docstrings_are_found() -> None:
    assert docstring_complaints("media", "x = 1") == ["media: the module has no docstring"]
    assert docstring_complaints("media", "'''m'''\nclass A:\n    pass") != []
    assert docstring_complaints("media", "'''m'''\ndef _f():\n    pass") == []


def test_pyaudio_is_loaded_only_when_a_device_is_asked_for() -> None:
    """Files and pipes work on machines that have no PortAudio."""
    code = "import sys, echowarp.main; sys.exit('pyaudio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
