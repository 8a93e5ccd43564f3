"""PortAudio devices, chosen and refused by the program itself."""

from __future__ import annotations

from pathlib import Path

from tests.app.test_refusals import complaint
from tests.processes import Stage


def test_the_list(stage: Stage, pulse: dict[str, str]) -> None:
    listed = stage.run("list", "--list_devices", stats=False, environment=pulse)
    assert listed.ends() == 0
    table = listed.out.read_text()
    assert all(name in table for name in ("mic", "feed", "spk", "tap"))
    assert listed.said == ""


class TestRefused:
    def test_a_name_that_is_none(self, stage: Stage, pulse: dict[str, str]) -> None:
        server = stage.server(
            "--device", "theremin", source="device", environment=pulse, ready=False
        )
        assert "theremin" in complaint(server, 5)

    def test_an_index_that_is_none(self, stage: Stage, pulse: dict[str, str]) -> None:
        server = stage.server("-d", "99", source="device", environment=pulse, ready=False)
        assert "99" in complaint(server, 5)

    def test_a_sink_that_is_none(self, stage: Stage, pulse: dict[str, str]) -> None:
        """Told at once, whether there is a server or not."""
        words = ("--reconnect", "0", "--device", "theremin")
        client = stage.client(*words, sink="device", environment=pulse)
        assert "theremin" in complaint(client, 5)

    def test_no_sound_system_at_all(self, stage: Stage, tmp_path: Path) -> None:
        nothing = {
            "PULSE_SERVER": "unix:/nowhere",
            "HOME": str(tmp_path),
            "JACK_NO_START_SERVER": "1",
        }
        server = stage.server(source="device", environment=nothing, ready=False)
        assert server.ends() == 5
        assert len([line for line in server.said.splitlines() if "error:" in line]) == 1
