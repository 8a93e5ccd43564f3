"""A server and a client between link-local addresses, in a network of their own.

    unshare --map-root-user --net python -m tests.app.link_local FOLDER

Says `ok` and exits with status 0, or raises.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.processes import PASSWORD, Stage

ADDRESS = "fe80::7%lo"
SETTINGS = """[echowarp_conf]
is_server=False
server_address={address}
udp_port={port}
password={password}
sink=null
duration=0.3
"""


def main() -> None:
    """Plays with the server bound everywhere, and to the one address; from the command
    line and from a file."""
    for command in ("link set lo up", f"addr add {ADDRESS[:-3]}/64 dev lo nodad"):
        subprocess.run(["ip", *command.split()], check=True)
    for number, bind in enumerate((None, ADDRESS)):
        with Stage(Path(sys.argv[1], str(number))) as stage:
            server = stage.server(bind=bind)
            stage.folder.joinpath("c.conf").write_text(
                SETTINGS.format(address=ADDRESS, port=stage.port, password=PASSWORD)
            )
            clients = [
                stage.client("--duration", "0.3", address=address)
                for address in (ADDRESS, f"[{ADDRESS}]")
            ]
            clients.append(stage.run("from a file", "--config_file", "c.conf"))
            assert [client.ends() for client in clients] == [0] * 3, stage.said()
            assert server.leave() == 0, stage.said()
    print("ok")


if __name__ == "__main__":
    main()
