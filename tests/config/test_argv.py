from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from echowarp.config.argv import Command, Invocation, parse_command_line
from echowarp.config.options import BY_KEY, OPTIONS
from echowarp.config.password import CODE_NOTICE, PASSWORD_NOTICE
from echowarp.config.settings import Settings
from echowarp.errors import ConfigError
from tests.config.samples import FLAG_KEYS, REFUSED, SAMPLES


def parse(*argv: str, env: str | None = None, stdin: bytes = b"") -> Invocation:
    environ = {} if env is None else {"ECHOWARP_PASSWORD": env}
    return parse_command_line(argv, environ, stdin=io.BytesIO(stdin))


def client(**changes: Any) -> Settings:
    return Settings(is_server=False, server_address="h", **changes)


def error(*argv: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(*argv)
    message = str(caught.value)
    assert message and "\n" not in message
    return message


VALUE_SPELLINGS = [(key, flag) for key in SAMPLES for flag in BY_KEY[key].flags]
FLAG_SPELLINGS = [(key, flag) for key in FLAG_KEYS for flag in BY_KEY[key].flags]


@pytest.mark.parametrize(("key", "flag"), VALUE_SPELLINGS)
@pytest.mark.parametrize("is_joined", [True, False])
def test_every_value(key: str, flag: str, is_joined: bool) -> None:
    text, value = SAMPLES[key]
    words = (f"{flag}={text}",) if is_joined else (flag, text)
    assert parse(*words).settings == Settings(**{key: value})


@pytest.mark.parametrize(("key", "flag"), FLAG_SPELLINGS)
def test_every_flag(key: str, flag: str) -> None:
    expected: dict[str, Any] = {"server_address": "h", key: not BY_KEY[key].default}
    assert parse("-a", "h", flag).settings == Settings(**expected)


@pytest.mark.parametrize("option", [o for o in OPTIONS if "_" in o.name], ids=lambda o: o.name)
def test_dashes_in_every_name(option: Any) -> None:
    name = "--" + option.name[2:].replace("_", "-")
    if option.key in SAMPLES:
        text, value = SAMPLES[option.key]
        assert parse(f"{name}={text}").settings == Settings(**{option.key: value})
        assert parse(name, text).settings == Settings(**{option.key: value})
    else:
        assert "no option" not in error(name, "--udp-port=0")


def test_dashes_in_values_stay() -> None:
    assert parse("--server-address=my-host", "-c").settings.server_address == "my-host"
    assert parse("-c", "--server-addr", "my-host").settings.server_address == "my-host"
    assert parse("--password=--udp-port").settings.password == "--udp-port"
    assert parse("-p", "--not an-option").settings.password == "--not an-option"


def test_prefixes() -> None:
    assert parse("-c", "--server_addr", "h", "--lat=3").settings == client(latency="3")
    assert "ambiguous" in error("--dev", "x")
    assert "--device_id" in error("--dev", "x")
    assert parse("--device", "x").settings.device == "x"


def test_short_flags_join() -> None:
    assert parse("-cla", "h").settings == client(is_error_log=True)
    assert parse("-u4416").settings.udp_port == 4416


@pytest.mark.parametrize("flag", ["--source", "--sink", "--stats"])
def test_a_lone_dash_is_a_value(flag: str) -> None:
    assert getattr(parse(flag, "-").settings, flag[2:]) == "-"
    assert getattr(parse(f"{flag}=-").settings, flag[2:]) == "-"


def test_values_that_begin_with_a_dash() -> None:
    assert parse("--password=-x").settings.password == "-x"
    assert parse("-p=-x").settings.password == "-x"
    assert "joined by =" in error("--password", "-x")
    assert "-1" in error("-d", "-1") and "-1" in error("--device_id=-1")


def test_the_last_one_counts() -> None:
    assert parse("-u", "1", "-u", "2").settings.udp_port == 2


@pytest.mark.parametrize(("key", "text"), REFUSED)
def test_refused_values_name_the_option(key: str, text: str) -> None:
    assert error(f"{BY_KEY[key].name}={text}").startswith(BY_KEY[key].name + ": ")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--port", "1"], "did you mean --web_port?"),
        (["--udp_prot=1"], "did you mean --udp_port?"),
        (["-x"], "'-x'"),
        (["stray"], "'stray'"),
        (["-v", ""], "''"),
        (["--ssl=yes"], "--ssl: takes no value"),
        (["-u"], "--udp_port"),
        (["--impair", "loss=5%"], "--self_test or --simulate only"),
        (["--loudness", "3"], "'--loudness'"),
        (["-c"], "--server_address"),
        (["-d", "1", "--device", "x"], "--device_id and --device"),
        (["--source=-", "--password_file=-"], "--source and --password_file"),
        (["--password_file", "/no/such/file"], "/no/such/file"),
        (["-f", "/no/such/file"], "/no/such/file"),
    ],
)
def test_usage_errors(argv: list[str], words: str) -> None:
    assert words in error(*argv)


@pytest.mark.parametrize("argv", [["--pass=hunter2"], ["--quiet=hunter2"], ["--passwrd=hunter2"]])
def test_an_error_does_not_show_a_value_that_may_be_the_password(argv: list[str]) -> None:
    assert "hunter2" not in error(*argv)


@pytest.mark.parametrize("word", ["cahce", "Cache", "chache", "caches"])
def test_a_command_that_is_misspelt(word: str) -> None:
    assert error(word, "--list") == f"there is no command {word!r}: did you mean cache?"


def test_commands() -> None:
    assert parse().command is Command.ASK
    assert parse("-v").command is Command.RUN
    assert parse("--version").command is Command.VERSION
    assert parse("-h").command is Command.HELP
    assert parse("--hel", "-u", "0", "--version", "-f", "/no/such/file").command is Command.HELP


def test_list_devices_keeps_the_settings_and_checks_less(tmp_path: Path) -> None:
    invocation = parse("-c", "--list-devices", "-e", "cp1251", "--password_file=/no/such/file")
    assert invocation.command is Command.LIST_DEVICES
    assert invocation.settings.device_encoding_names == "cp1251"
    (tmp_path / "a.conf").write_text("[echowarp_conf]\ndevice_encoding_names=cp1252\n")
    invocation = parse("--list_devices", "-f", str(tmp_path / "a.conf"))
    assert invocation.command is Command.LIST_DEVICES
    assert invocation.settings.device_encoding_names == "cp1252"
    assert invocation.notices == ()


def test_password_precedence(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from file\n")
    option = f"--password_file={file}"
    assert parse("-v").settings.password is None
    assert parse("-v", env="").settings.password is None
    assert parse("-v", env="from env").settings.password == "from env"
    from_file = parse(option, env="from env").settings
    assert (from_file.password, from_file.password_file) == ("from file", str(file))
    from_argv = parse(option, "-p", "from argv", env="from env")
    assert (from_argv.settings.password, from_argv.settings.password_file) == ("from argv", None)
    assert from_argv.notices == ("no effect beside --password: --password_file", PASSWORD_NOTICE)


def test_an_empty_password_is_given() -> None:
    assert parse("--password=", env="from env").settings.password == ""


def test_password_from_stdin() -> None:
    assert parse("--password_file", "-", stdin=b"a b \nrest").settings.password == "a b "


def test_only_a_password_in_argv_is_warned_of() -> None:
    assert parse("-p", "x").notices == (PASSWORD_NOTICE,)
    assert parse("-v", env="x").notices == ()


def test_options_without_effect_are_named() -> None:
    assert parse("-c", "-a", "h", "--ssl", "-w", "2").notices == (
        "no effect in client mode: --ssl, --workers",
    )


def test_config_file_alone_counts(tmp_path: Path) -> None:
    file = tmp_path / "a.conf"
    file.write_text("[echowarp_conf]\nudp_port=4416\n")
    saved = tmp_path / "b.conf"
    invocation = parse("-u", "0", "-v", "-s", str(saved), "-f", str(file), "-p", "x", env="env")
    assert invocation.settings == Settings(udp_port=4416, password="env")
    assert invocation.save_config is None
    assert invocation.notices == (
        "ignored, as --config_file is given: --save_config, --udp_port, --password, --verbose",
    )


def test_save_config(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    assert parse("-s", str(path), "-v").save_config == str(path)
    assert parse("-s", str(path), env="x").notices == (
        f"{path} holds the password: keep it to yourself",
    )
    path.write_text("")
    assert "--overwrite" in error("-s", str(path))
    assert parse("-s", str(path), "--overwrite").save_config == str(path)


def test_list_users_is_a_clients_and_checked() -> None:
    invocation = parse("--list_users", "-a", "h", env="x")
    assert invocation.command is Command.LIST_USERS
    assert invocation.settings == client(password="x")
    assert "--server_address" in error("--list_users")


def test_the_code_comes_from_argv_or_the_environment() -> None:
    words = ("-c", "-a", "h", "--nickname", "zoë")
    environ = {"ECHOWARP_E2E": "from env"}
    assert parse_command_line(words, environ).settings.e2e == "from env"
    assert parse_command_line(words[:3], environ).settings.e2e is None
    given = parse_command_line((*words, "--e2e", "x"), environ)
    assert given.settings.e2e == "x"
    assert given.notices == (CODE_NOTICE,)
