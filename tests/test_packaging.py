"""A wheel and an sdist are built, installed into an empty environment and run.

Nothing is downloaded: the empty environment is shown the packages of this one
through a .pth file, which does not bring this one's own EchoWarp along.
"""

from __future__ import annotations

import email
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from echowarp import __version__

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", "*.egg-info", "build", "dist", "__pycache__", ".*_cache", ".hypothesis"
)


def run(*command: str | Path, folder: Path) -> str:
    """Runs a command outside the checkout. Returns stdout; fails with all it said."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=folder, env=environment, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("packaging")
    shutil.copytree(ROOT, folder / "tree", ignore=LEFT_OUT)
    run(
        sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "out",
        folder / "tree", folder=folder,
    )  # fmt: skip
    return folder / "out"


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def sdist(built: Path) -> list[str]:
    """The names in the sdist, below its top folder."""
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = [member.name for member in archive.getmembers() if member.isfile()]
    top = f"echowarp-{__version__}/"
    assert all(name.startswith(top) for name in names)
    return [name.removeprefix(top) for name in names]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment with only the wheel and its requirements."""
    folder = tmp_path_factory.mktemp("empty")
    run(sys.executable, "-m", "venv", folder / "venv", folder=folder)
    python = folder / "venv/bin/python"
    run(python, "-m", "pip", "install", "--no-deps", "--no-index", wheel, folder=folder)
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(run(python, "-c", code, folder=folder).strip())
    ours = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "requirements.pth").write_text("\n".join(ours) + "\n", "utf-8")
    return python.parent


def names_of(requirements: list[str]) -> set[str]:
    """The names in a list of requirements, as packages are compared."""
    return {re.split(r"[^\w.-]", each)[0].lower() for each in requirements}


def test_the_sdist_holds_what_a_person_needs(sdist: list[str]) -> None:
    wanted = {"README.md", "LICENSE", "config.example.conf", "requirements.txt", "pyproject.toml"}
    assert wanted <= set(sdist)
    assert "tests/test_packaging.py" in sdist
    assert "echowarp/main.py" in sdist


def test_nothing_left_behind_by_running_is_packed(sdist: list[str], wheel: Path) -> None:
    packed = sdist + zipfile.ZipFile(wheel).namelist()
    junk = re.compile(r"__pycache__|\.pyc$|_cache/|\.hypothesis|\.venv|(^|/)\.git/")
    assert [name for name in packed if junk.search(name)] == []


def test_the_wheel_holds_the_package_alone(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    sources = {f"echowarp/{path.relative_to(ROOT / 'echowarp')}" for path in modules()}
    packed = {name for name in names if ".dist-info/" not in name}
    assert sources <= packed
    assert {name.partition("/")[0] for name in packed} == {"echowarp"}


def modules() -> list[Path]:
    """The files of the package: its modules, and those of the page."""
    package = ROOT / "echowarp"
    return [*package.rglob("*.py"), *(package / "web").iterdir()]


def test_the_requirements_are_two_and_said_twice_alike(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        metadata = email.message_from_string(archive.read(name).decode())
    required = metadata.get_all("Requires-Dist") or []
    always = [each for each in required if "extra ==" not in each]
    assert names_of(always) == {"pyaudio", "cryptography"}
    lines = (ROOT / "requirements.txt").read_text("utf-8").split("\n")
    assert sorted(line for line in lines if line) == sorted(always)
    assert metadata["Requires-Python"] == ">=3.10"


def test_the_command_runs_from_an_empty_environment(installed: Path, tmp_path: Path) -> None:
    code = "import echowarp; print(echowarp.__file__)"
    loaded = run(installed / "python", "-c", code, folder=tmp_path).strip()
    assert Path(loaded).is_relative_to(installed.parent)
    version = run(installed / "echowarp", "--version", folder=tmp_path)
    assert __version__ in version
    assert run(installed / "python", "-m", "echowarp.main", "--version", folder=tmp_path) == version
    assert run(installed / "python", "-m", "echowarp", "--version", folder=tmp_path) == version
    assert "--server_address" in run(installed / "echowarp", "--help", folder=tmp_path)
