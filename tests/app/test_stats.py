"""The lines of `--stats`: their fields, and that what they count adds up."""

from __future__ import annotations

import json
from itertools import pairwise

from echowarp.app.stats import STREAM_FIELDS
from tests.processes import Stage
from tests.recordings import speech_wav

LINE = {"time", "role", "state", "peers", "streams"}
COUNTERS = (
    "sent",
    "received",
    "lost",
    "late",
    "duplicate",
    "reordered",
    "repaired",
    "resent",
    "concealed",
    "rejected",
)
SECONDS = 3.3
BLOCKS = 660


def test_fields_and_counters(stage: Stage) -> None:
    speech_wav(stage.folder / "in.wav", SECONDS)
    server = stage.server("--ssl", source="in.wav")
    client = stage.client()
    assert (client.ends(), server.ends()) == (0, 0)
    for program, role in ((server, "server"), (client, "client")):
        lines = program.stats
        assert len(lines) >= 4
        for line in lines:
            assert line.keys() == LINE
            assert line["role"] == role
            for stream in line["streams"]:
                assert stream.keys() == STREAM_FIELDS.keys()
        for earlier, later in pairwise(lines):
            assert 0 < later["time"] - earlier["time"] < 2.5
            for one, two in zip(earlier["streams"], later["streams"], strict=False):
                assert all(one[name] <= two[name] for name in COUNTERS)
    sent, received = server.stream, client.stream
    assert (sent["sent"], received["received"], received["lost"]) == (BLOCKS, BLOCKS, 0)
    for stream in (sent, received):
        assert (stream["rate"], stream["channels"], stream["codec"]) == (48_000, 2, "pcm")
        assert stream["suite"] == "encrypted"
    busy = [line["streams"][0] for line in client.stats[2:-1]]
    # 200 datagrams a second of 18 + 8 + 960 + 16 bytes, and half as many repair rows
    # of 18 + 5 + 966 + 16 bytes as long as losses are not known.
    assert any(1_900_000 < stream["bitrate"] < 2_700_000 for stream in busy)
    # On a busy machine blocks that are late may be asked for: what is answered is no loss.
    assert received["resent"] <= sent["resent"]
    assert all(stream["delay_ms"] is None for stream in busy), "a sink without a clock has none"
    assert all(2 <= stream["target_ms"] <= 200 for stream in busy)
    assert any(stream["rtt_ms"] is not None for stream in busy)
    assert any(-60 < stream["level_db"] < 0 for stream in busy)
    assert {line["state"] for line in client.stats} >= {"playing", "finished"}
    assert {line["peers"] for line in server.stats} == {0, 1}


def test_on_standard_error(stage: Stage) -> None:
    """Each line is whole, between the words for people."""
    server = stage.server("--stats", "-", stats=False)
    server.says('{"time":')
    assert server.leave() == 0
    lines = [json.loads(line) for line in server.said.splitlines() if line.startswith("{")]
    assert len(lines) >= 2
    assert all(line.keys() == LINE for line in lines)


def test_a_folder_is_no_file(stage: Stage) -> None:
    server = stage.server("--stats", ".", "--overwrite", stats=False, ready=False)
    assert server.ends() == 2
    assert "--stats .: is a folder" in server.said.splitlines()[-1]


def test_a_relay_has_no_stream_of_its_own(stage: Stage) -> None:
    server = stage.server(source="none")
    client = stage.client()
    client.says("connected")
    assert client.leave() == 0
    assert server.leave() == 0
    assert server.stats[-1]["streams"] == []
    assert server.stats[-1]["state"] == "relaying"
