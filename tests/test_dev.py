"""What `./dev` says and runs on machines that lack something.

Each machine is a PATH of its own: the tools that every system has, and fakes
beside them that log how they were called.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("sh", "cat", "cksum", "dirname", "mktemp", "rm", "sleep", "tr", "uname", "env")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the fakes are of Linux")


class Machine:
    """A copy of `./dev` in an empty tree, and a PATH with nothing but TOOLS and fakes."""

    def __init__(self, folder: Path) -> None:
        self.tree, self._bin, self._log = folder / "tree", folder / "bin", folder / "log"
        self.tree.mkdir()
        self._bin.mkdir()
        self._log.touch()
        for name in ("dev", "pyproject.toml"):
            shutil.copy(ROOT / name, self.tree / name)
        for name in TOOLS:
            found = shutil.which(name)
            assert found is not None
            (self._bin / name).symlink_to(found)

    def has(self, name: str, script: str = "") -> None:
        """Adds a command that logs its arguments, then runs `script`."""
        path = self._bin / name
        path.unlink(missing_ok=True)
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>"{self._log}"\n{script}\n', "utf-8")
        path.chmod(0o755)

    def has_python(self, name: str = "python3") -> None:
        """Adds this very interpreter. A link would not find its own environment."""
        self.has(name, f'exec "{sys.executable}" "$@"')

    def has_environment(self, script: str) -> None:
        """Adds a virtual environment with all that the tests need, and this for a Python."""
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        venv = self.tree / f".venv-{version}"
        (venv / "bin").mkdir(parents=True)
        (venv / "bin/python").write_text(f"#!/bin/sh\n{script}\n", "utf-8")
        (venv / "bin/python").chmod(0o755)
        with open(self.tree / "pyproject.toml", "rb") as file:
            sums = subprocess.check_output(["cksum"], stdin=file, text=True).strip()
        identity = f"{sys.base_prefix} {sys.hexversion}"
        (venv / "installed-dev").write_text(f"{self.tree} {identity} {sums}\n", "utf-8")

    def dev(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Runs `./dev`. Returns its exit status, and all that it said."""
        done = subprocess.run(
            [self._bin / "sh", self.tree / "dev", *arguments],
            cwd="/",
            env={"PATH": str(self._bin), "CC": "fake-cc"} | environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return done.returncode, done.stdout

    def called(self, name: str) -> list[str]:
        """How a fake was called, a line a call."""
        lines = self._log.read_text("utf-8").splitlines()
        return [line.removeprefix(f"{name} ") for line in lines if line.startswith(f"{name} ")]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_help_needs_nothing(machine: Machine) -> None:
    status, said = machine.dev()
    assert status == 0
    assert (status, said) == machine.dev("help")
    for command in (
        "demo",
        "test",
        "test-all",
        "accept",
        "lint",
        "bench",
        "fuzz",
        "soak",
        "example",
    ):
        assert f"  {command} " in said


def test_an_unknown_command_is_a_usage_error(machine: Machine) -> None:
    status, said = machine.dev("tset")
    assert status == 2
    assert "no command 'tset'" in said


def test_without_a_python_it_says_what_to_do(machine: Machine) -> None:
    machine.has("python3", "exit 1")  # too old: the question about its version is denied
    machine.has("python3.12", "exit 127")  # a shim of a version that is not switched on
    status, said = machine.dev("lint")
    assert status == 1
    assert said.startswith("dev: no Python 3.10 or newer was found")
    assert len(said.splitlines()) == 1


def test_a_python_that_was_chosen_is_not_replaced(machine: Machine) -> None:
    machine.has_python()
    status, said = machine.dev("lint", PYTHON="python9")
    assert status == 1
    assert "PYTHON=python9" in said


def test_a_python_is_found_behind_broken_shims(machine: Machine) -> None:
    machine.has("python3", "exit 127")
    machine.has_python("python3.10")
    status, said = machine.dev("lint")
    assert status == 1
    assert "a C compiler" in said  # so it came past the search for Python


def test_without_a_package_manager_it_lists_what_to_install(machine: Machine) -> None:
    machine.has_python()
    status, said = machine.dev("test")
    assert status == 1
    for each in ("a C compiler", "PortAudio with its headers", "PulseAudio daemon", "pactl"):
        assert any(line.startswith("  - ") and each in line for line in said.splitlines())
    assert said.splitlines()[-1] == "dev: install them, then run this again"
    assert not list(machine.tree.glob(".venv*"))


def test_the_demo_asks_for_no_more_than_it_needs(machine: Machine) -> None:
    machine.has_python()
    _, said = machine.dev("demo")
    assert "PortAudio" in said
    assert "PulseAudio" not in said


def test_apt_installs_what_is_missing_and_it_looks_again(machine: Machine) -> None:
    machine.has_python()
    machine.has("id", "echo 0")
    machine.has("apt-get")
    status, said = machine.dev("test")
    update, install = machine.called("apt-get")
    assert update.endswith("update")
    assert " -y --no-install-recommends install " in install
    for package in ("gcc", "libc6-dev", "portaudio19-dev", "pulseaudio", "pulseaudio-utils"):
        assert package in install.split()
    assert status == 1  # a fake installs nothing, and that must be noticed
    assert "still lacks" in said


def test_who_is_not_root_installs_through_sudo(machine: Machine) -> None:
    machine.has_python()
    machine.has("id", "echo 1000")
    machine.has("apt-get")
    machine.has("sudo", 'exec "$@"')
    machine.dev("demo")
    assert machine.called("sudo") == [
        f"apt-get {machine.called('apt-get')[0]}",
        f"env DEBIAN_FRONTEND=noninteractive apt-get {machine.called('apt-get')[1]}",
    ]


def test_without_sudo_one_line_says_what_to_run_as_root(machine: Machine) -> None:
    machine.has_python()
    machine.has("id", "echo 1000")
    machine.has("apt-get")
    status, said = machine.dev("demo")
    assert status == 1
    assert "run as root" in said
    assert "apt-get install gcc libc6-dev portaudio19-dev" in said
    assert machine.called("apt-get") == []


def test_a_failed_installation_is_tried_once_more_and_shown(machine: Machine) -> None:
    machine.has_python()
    machine.has("id", "echo 0")
    machine.has("sleep")
    machine.has("apt-get", 'case $* in *install*) echo "no network"; exit 100 ;; esac')
    status, said = machine.dev("demo")
    assert status == 1
    assert len([call for call in machine.called("apt-get") if "install" in call]) == 2
    assert "no network" in said
    assert "apt-get could not install" in said.splitlines()[-1]


def test_dnf_has_its_own_names(machine: Machine) -> None:
    machine.has_python()
    machine.has("id", "echo 0")
    machine.has("dnf")
    machine.dev("demo")
    assert machine.called("dnf")[0].endswith("install gcc portaudio-devel")


def test_brew_never_runs_as_root(machine: Machine) -> None:
    machine.has_python()
    machine.has("uname", "echo Darwin")
    machine.has("id", "echo 501")
    machine.has("fake-cc", "read -r line; case $line in *stdlib*) exit 0 ;; esac; exit 1")
    machine.has("brew", "echo /opt/brew")
    machine.has("sudo", 'exec "$@"')
    machine.dev("test")
    assert "install portaudio" in machine.called("brew")
    assert machine.called("sudo") == []


@pytest.mark.parametrize("tool", ["nice", "chrt"])
@pytest.mark.parametrize(("pure", "others"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_the_suite_fails_where_either_half_fails(
    machine: Machine, tool: str, pure: int, others: int
) -> None:
    machine.has_python()
    machine.has("uname", "echo Darwin")  # no PulseAudio is looked for there
    machine.has(tool, 'shift 2; exec "$@"')
    machine.has_environment(f"""
        case $* in
        *no:cacheprovider*) echo "the pure half"; exit {pure} ;;
        *pytest*) sleep 0.2; exit {others} ;;
        esac""")
    status, said = machine.dev("test")
    assert status == max(pure, others)
    assert said.endswith("the pure half\n")


@pytest.mark.parametrize("name", ["dev", ".ci/run"])
def test_the_scripts_may_be_run(name: str) -> None:
    assert os.access(ROOT / name, os.X_OK)


def test_ci_runs_the_tests_and_nothing_else() -> None:
    lines = (ROOT / ".ci/run").read_text("utf-8").splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    (command,) = (line for line in lines[1:] if line and not line.startswith("#"))
    assert command.endswith('/dev" test')
