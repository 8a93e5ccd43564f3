"""A call in which the address of one changes, in a network of their own.

    unshare --map-root-user --net python -m tests.app.new_address FOLDER

Says `ok` and exits with status 0, or raises.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.app.sounds import recorded_bytes
from tests.app.test_calls import talker
from tests.processes import Program, Stage, wait_until

SERVER, OLD, NEW = "10.77.0.1", "10.77.0.2", "10.77.0.3"
HEARD_BYTES = 200_000
"""About a second."""
SILENCE_S = 40.0
"""A dead connection is known as such after 15 s without a word."""


def ip(command: str) -> None:
    """Changes the network."""
    subprocess.run(["ip", *command.split()], check=True)


def go_from(address: str) -> None:
    """Whoever connects to the server is seen under that address from now on."""
    ip(f"addr add {address}/32 dev lo")
    ip(f"route replace table local local {SERVER} dev lo src {address}")


def hear(stage: Stage) -> None:
    """Waits until both have heard more of each other."""
    for path in (stage.folder / "anna-hears.wav", stage.folder / "bob-hears.wav"):
        size = recorded_bytes(path) + HEARD_BYTES
        wait_until(lambda p=path, s=size: recorded_bytes(p) >= s, f"{path.name} grows")  # type: ignore[misc]


def call(stage: Stage) -> None:
    """anna's address is taken away while she speaks with bob, and she gets another."""
    server = stage.server("--ssl", bind=None, source="none")
    bob = talker(stage, "bob", "--auto_answer", sink="bob-hears.wav")
    bob.says("here as bob")
    anna = talker(stage, "anna", "--call", "bob", sink="anna-hears.wav", address=SERVER)
    hear(stage)
    server.says(f"{OLD} joined")
    ip(f"addr del {OLD}/32 dev lo")
    go_from(NEW)
    server.says(f"{NEW} joined", patience_s=SILENCE_S)
    anna.says("back again")
    hear(stage)
    end(anna, bob)


def end(anna: Program, bob: Program) -> None:
    """The call was one and the same; it ends as it should."""
    assert anna.leave() == 0
    bob.says("hung up")
    assert bob.leave() == 0
    assert anna.said.count("in a call with bob") == bob.said.count("in a call with anna") == 1
    assert "called so already" not in anna.said


def main() -> None:
    """Makes the network; the server's address stays as it is."""
    ip("link set lo up")
    ip(f"addr add {SERVER}/32 dev lo")
    go_from(OLD)
    with Stage(Path(sys.argv[1])) as stage:
        call(stage)
    print("ok")


if __name__ == "__main__":
    main()
