from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings

from echowarp.config.argv import parse_command_line
from echowarp.config.conf import format_conf, parse_conf, read_conf, write_conf
from echowarp.config.option import value_text
from echowarp.config.options import BY_KEY
from echowarp.config.settings import Settings
from echowarp.errors import ConfigError
from tests.config.samples import FLAG_KEYS, REFUSED, SAMPLES, settings

ORIGINAL_EXAMPLE = """\
[echowarp_conf]
is_server=False
udp_port=6532
socket_buffer_size=10240
device_id=1
password=mysecretpassword
device_encoding_names=cp1251
is_error_log=True
server_address=192.168.1.5
reconnect_attempt=15
is_ssl=True
is_integrity_control=True
"""


def conf(*lines: str) -> Settings:
    return parse_conf("\n".join(("[echowarp_conf]", *lines)), "a.conf")[0]


def error(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_conf(text, "a.conf")
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_original_example() -> None:
    loaded, notices = parse_conf(ORIGINAL_EXAMPLE, "a.conf")
    assert loaded == Settings(
        is_server=False,
        udp_port=6532,
        socket_buffer_size=10240,
        device_id=1,
        password="mysecretpassword",
        device_encoding_names="cp1251",
        is_error_log=True,
        server_address="192.168.1.5",
        reconnect_attempt=15,
        is_ssl=True,
        is_integrity_control=True,
    )
    assert notices == ("a.conf: no effect in client mode: is_ssl, is_integrity_control",)


@given(settings())
@hypothesis_settings(derandomize=True, deadline=None)
def test_format_then_parse(chosen: Settings) -> None:
    assert parse_conf(format_conf(chosen), "a.conf")[0] == chosen


@given(settings())
@hypothesis_settings(max_examples=50, derandomize=True, deadline=None)
def test_write_then_read(chosen: Settings) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "a.conf")
        write_conf(path, chosen)
        assert read_conf(path, {})[0] == chosen


@pytest.mark.parametrize("key", SAMPLES)
def test_every_value_is_as_in_argv(key: str) -> None:
    text, value = SAMPLES[key]
    assert conf(f"{key}={text}") == Settings(**{key: value})
    assert conf(f"{key}={text}") == parse_command_line([f"{BY_KEY[key].name}={text}"], {}).settings


@pytest.mark.parametrize("key", FLAG_KEYS)
@pytest.mark.parametrize("spell", [str, str.lower, str.upper])
def test_every_flag_is_as_in_argv(key: str, spell: Any) -> None:
    value = not BY_KEY[key].default
    argv = ["-a", "h", BY_KEY[key].name]
    loaded = conf("server_address=h", f"{key}={spell(str(value))}")
    assert loaded == parse_command_line(argv, {}).settings


@pytest.mark.parametrize(("key", "text"), [pair for pair in REFUSED if pair[1].strip()])
def test_refused_values_name_file_line_and_key(key: str, text: str) -> None:
    quoted = f'"{text}"' if text != text.strip() else text
    line = f"{key}={quoted}"
    assert error(f"[echowarp_conf]\n\n{line}\n").startswith(f"a.conf, line 3: {key}: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.conf, line 1: the section is missing: write [echowarp_conf] here"),
        ("# only this\n", "a.conf, line 1: the section is missing"),
        ("\nudp_port=1\n", "a.conf, line 2: the section is missing"),
        ("\n[echowarp]\n", "a.conf, line 2: the one section there is, is [echowarp_conf]"),
        ("[echowarp_conf]\n[more]\n", "a.conf, line 2: the one section there is"),
        ("[echowarp_conf]\n\n[echowarp_conf]", "a.conf, line 3: [echowarp_conf] stands in line 1"),
        ("[echowarp_conf]\nmy secret\n", "a.conf, line 2: not key=value"),
        ("[echowarp_conf]\n=x\n", "a.conf, line 2: : there is no such key"),
        ("[echowarp_conf]\nudp_prot=1", "a.conf, line 2: udp_prot: there is no such key: did you "),
        ("[echowarp_conf]\nreconnect=1", "did you mean reconnect_attempt?"),
        ("[echowarp_conf]\nclient=True", "did you mean is_server?"),
        ("[echowarp_conf]\nqqq=1", "a.conf, line 2: qqq: there is no such key: mend it"),
        ("[echowarp_conf]\nconfig_file=x", "a.conf, line 2: config_file: there is no such key"),
        ("[echowarp_conf]\na\rb=x", "a.conf, line 2: 'a\\rb': there is no such key"),
        ("[echowarp_conf]\nloop=True\nloop=True", "a.conf, line 3: loop: stands in line 2 already"),
        ("[echowarp_conf]\nis_ssl=1", "a.conf, line 2: is_ssl: '1' is neither True nor False"),
        ("[echowarp_conf]\nis_ssl=", "a.conf, line 2: is_ssl: "),
        ("[echowarp_conf]\nudp_port=", "a.conf, line 2: udp_port: '' is not a whole number"),
        ("[echowarp_conf]\nblock_ms=", "a.conf, line 2: block_ms: "),
        ('[echowarp_conf]\npassword="x', "a.conf, line 2: password: a value that begins with"),
        ('[echowarp_conf]\npassword="\\x"', "a.conf, line 2: password: wrong after a \\"),
        ("[echowarp_conf]\nis_server=False", "a.conf: server_address is missing"),
        ("[echowarp_conf]\ndevice_id=1\ndevice=x", "a.conf: device_id and device exclude"),
    ],
)
def test_strictness(text: str, message: str) -> None:
    assert message in error(text)


@pytest.mark.parametrize("line", ['password="hunter2', "password hunter2", 'password="h\\unter2"'])
def test_an_error_does_not_show_the_password(line: str) -> None:
    assert "unter2" not in error(f"[echowarp_conf]\n{line}")


@pytest.mark.parametrize(
    ("raw", "password"),
    [
        ("a=b", "a=b"),
        ("100%(x)s", "100%(x)s"),
        ("a#b ; c", "a#b ; c"),
        ("#", "#"),
        ("  ends  ", "ends"),
        ('"  ends  "', "  ends  "),
        ('in "the" middle', 'in "the" middle'),
        ('ends with "', 'ends with "'),
        ("back\\slash\\n", "back\\slash\\n"),
        ('"\\u044f\\t"', "я\t"),
        ('""', ""),
        ("", None),
    ],
)
def test_values_are_taken_whole(raw: str, password: str | None) -> None:
    assert conf(f"password={raw}").password == password
    assert conf(f" password = {raw} \r").password == password


def test_blank_lines_comments_and_line_ends() -> None:
    text = "; one\r\n\r\n[echowarp_conf]\r\n  # two\r\nudp_port = 1\r\n\t\r\n"
    assert parse_conf(text, "a.conf")[0] == Settings(udp_port=1)


@pytest.mark.parametrize("key", [key for key in SAMPLES if BY_KEY[key].default is None])
def test_an_empty_value_is_none(key: str) -> None:
    assert conf(f"{key}=") == Settings()


@pytest.mark.parametrize("key", ["source", "sink", "latency", "ban_list"])
def test_an_empty_text_is_its_default(key: str) -> None:
    assert conf(f"{key}=") == Settings()


def test_read_from_disk(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    path.write_bytes("\ufeff[echowarp_conf]\r\ndevice=Микрофон\r\n".encode())
    assert read_conf(str(path), {}) == (Settings(device="Микрофон"), ())
    path.write_bytes(b"[echowarp_conf]\ndevice=\xff\n")
    with pytest.raises(ConfigError, match="line 2: not UTF-8"):
        read_conf(str(path), {})


def test_where_the_password_comes_from(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    secret = tmp_path / "secret"
    secret.write_text("from file\n")
    environ = {"ECHOWARP_PASSWORD": "from env"}
    path.write_text("[echowarp_conf]\n")
    assert read_conf(str(path), environ)[0].password == "from env"
    path.write_text(f"[echowarp_conf]\npassword_file={secret}\n")
    assert read_conf(str(path), environ)[0].password == "from file"
    path.write_text(f"[echowarp_conf]\npassword_file={secret}\npassword=own\n")
    loaded, notices = read_conf(str(path), environ)
    assert (loaded.password, loaded.password_file) == ("own", None)
    assert notices == (f"{path}: no effect beside password: password_file",)


def test_a_password_from_a_file_stays_there(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from file\n")
    chosen = Settings(password="from file", password_file=str(secret))
    assert "from file" not in format_conf(chosen)
    write_conf(str(tmp_path / "a.conf"), chosen)
    assert read_conf(str(tmp_path / "a.conf"), {})[0] == chosen


def test_only_what_differs_is_written() -> None:
    assert format_conf(Settings()) == "[echowarp_conf]\nis_server=True\n"
    assert format_conf(Settings(udp_port=1, password=" x")) == (
        '[echowarp_conf]\nis_server=True\nudp_port=1\npassword=" x"\n'
    )


def test_every_default_can_be_written_out() -> None:
    lines = [f"{key}={value_text(option.default)}" for key, option in BY_KEY.items()]
    assert conf(*lines) == Settings()
