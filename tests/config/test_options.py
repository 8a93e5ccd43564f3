from __future__ import annotations

from dataclasses import fields

import pytest

from echowarp.config.option import value_text
from echowarp.config.options import BY_KEY, OPTIONS
from echowarp.config.settings import Settings
from tests.config.samples import FLAG_KEYS, REFUSED, SAMPLES

# The contract that scripts depend on: flags, key, default.
CONTRACT = """
-c --client is_server True
-o --output is_input_audio_device True
-u --udp_port udp_port 4415
-b --socket_buffer_size socket_buffer_size 6144
-d --device_id device_id None
-p --password password None
-f --config_file None None
-e --device_encoding_names device_encoding_names None
--ignore_device_encoding_names ignore_device_encoding_names False
-l --is_error_log is_error_log False
-r --reconnect reconnect_attempt 5
-s --save_config None None
-a --server_address server_address None
--ssl is_ssl False
-i --integrity_control is_integrity_control False
-w --workers workers 1
-h --help None None
--version None None
-v --verbose verbose False
-q --quiet quiet False
--list_devices None None
--list_users None None
--self_test None None
--simulate None None
--impair None None
--device device None
--follow_default follow_default False
--source source device
--sink sink device
--loop loop False
--sample_rate sample_rate None
--channels channels None
--block_ms block_ms 5.0
--latency latency auto
--volume volume 100
--bind bind None
--max_clients max_clients 64
--ban_list ban_list echowarp_ban_list.txt
--duration duration None
--overwrite overwrite False
--stats stats None
--password_file password_file None
--talkback talkback False
--nickname nickname None
--call call None
--room room None
--auto_answer auto_answer False
--e2e e2e None
--microphone microphone None
--muted muted False
--push_to_talk push_to_talk False
--voice_activation voice_activation None
--hang_over hang_over 400
--agc agc False
--gate gate False
--web_port web_port None
--web_cert web_cert None
--web_key web_key None
--cache_dir cache_dir None
--cache_max_bytes cache_max_bytes 10737418240
--cache_ttl cache_ttl None
"""


def test_table_is_the_contract() -> None:
    rows = {" ".join((*o.flags, str(o.key), str(o.default))) for o in OPTIONS}
    assert rows == set(CONTRACT.strip().splitlines())


def test_keys_are_the_fields_of_settings() -> None:
    assert set(BY_KEY) == {field.name for field in fields(Settings)}


def test_no_flag_twice() -> None:
    flags = [flag for option in OPTIONS for flag in option.flags]
    assert len(flags) == len(set(flags))


def test_flags_are_booleans_and_values_are_not() -> None:
    assert {o.key for o in OPTIONS if o.key and not o.metavar} == set(FLAG_KEYS)
    assert all(isinstance(BY_KEY[key].default, bool) for key in FLAG_KEYS)


@pytest.mark.parametrize("key", BY_KEY)
def test_a_default_is_a_value_that_its_own_parser_reads(key: str) -> None:
    option = BY_KEY[key]
    if option.default is not None:
        assert option.parse(value_text(option.default)) == option.default


@pytest.mark.parametrize("key", SAMPLES)
def test_samples_are_read(key: str) -> None:
    text, value = SAMPLES[key]
    assert BY_KEY[key].parse(text) == value


def test_samples_leave_no_key_out() -> None:
    assert set(SAMPLES) | set(FLAG_KEYS) | {"password_file"} == set(BY_KEY)


@pytest.mark.parametrize(("key", "text"), REFUSED)
def test_refused_values(key: str, text: str) -> None:
    with pytest.raises(ValueError) as caught:
        BY_KEY[key].parse(text)
    message = str(caught.value)
    assert message and "\n" not in message and len(message) < 120


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("udp_port", "1"),
        ("udp_port", "65535"),
        ("socket_buffer_size", "1232"),
        ("sample_rate", "8000"),
        ("sample_rate", "192000"),
        ("channels", "8"),
        ("block_ms", "10"),
        ("latency", "0"),
        ("latency", "2000"),
        ("source", "tone:20"),
        ("source", "tone:20000"),
        ("source", "cache:x"),
        ("server_address", "fe80::1%eth0"),
    ],
)
def test_ends_of_ranges_are_in_them(key: str, text: str) -> None:
    BY_KEY[key].parse(text)


def test_latency_in_ms() -> None:
    assert Settings().latency_ms is None
    assert Settings(latency="12.5").latency_ms == 12.5


def test_password_is_not_in_the_repr() -> None:
    assert "hunter2" not in repr(Settings(password="hunter2", e2e="hunter2"))


def test_ids_in_the_cache_keep_their_case() -> None:
    assert BY_KEY["source"].parse("CACHE:My.WAV") == "cache:My.WAV"
