from __future__ import annotations

import io
from dataclasses import fields

import pytest

from echowarp.config.cache_options import (
    CACHE_OPTIONS,
    CacheInvocation,
    CacheSettings,
    Job,
    parse_cache_line,
)
from echowarp.config.help import cache_help_text
from echowarp.config.option import value_text
from echowarp.config.password import PASSWORD_NOTICE
from echowarp.errors import ConfigError

DIGEST = "0123456789abcdef" * 4


def parse(*argv: str, env: str | None = None, stdin: bytes = b"") -> CacheInvocation:
    environ = {} if env is None else {"ECHOWARP_PASSWORD": env}
    return parse_cache_line(argv, environ, stdin=io.BytesIO(stdin))


def error(*argv: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(*argv)
    message = str(caught.value)
    assert message and "\n" not in message
    return message


def test_keys_are_the_fields_of_the_settings() -> None:
    keys = {option.key for option in CACHE_OPTIONS if option.key}
    assert keys | {"is_password_given"} == {field.name for field in fields(CacheSettings)}


def test_no_flag_twice() -> None:
    flags = [flag for option in CACHE_OPTIONS for flag in option.flags]
    assert len(flags) == len(set(flags))


def test_a_default_is_a_value_that_its_own_parser_reads() -> None:
    for option in CACHE_OPTIONS:
        if option.default is not None:
            assert option.parse(value_text(option.default)) == option.default


@pytest.mark.parametrize(
    ("words", "job"),
    [
        (["-i", "a"], Job.ROUND_TRIP),
        (["-i", "a", "--upload_only", "--id", "x", "--resume"], Job.UPLOAD),
        (["--download", "x", "-o", "a", "--resume", "--overwrite"], Job.DOWNLOAD),
        (["--list", "-s", "wss://h/audio", "--insecure"], Job.LIST),
        (["--play=x", "--sink", "NULL", "--start", "1.5"], Job.PLAY),
        (["--help"], Job.HELP),
        (["--list", "-h"], Job.HELP),
    ],
)
def test_jobs(words: list[str], job: Job) -> None:
    assert parse(*words).job is job


def test_values() -> None:
    settings = parse("-i", "a.wav", "-s", "ws://h:1/x", "-o", "b.wav", "-v", "--id", "A.b").settings
    assert settings == CacheSettings(
        input="a.wav", server="ws://h:1/x", output="b.wav", verbose=True, id="A.b"
    )
    assert CacheSettings().server == "ws://localhost:8080/audio"


def test_dashes_and_prefixes() -> None:
    assert parse("-i", "a", "--upload-only").job is Job.UPLOAD
    assert parse("-i", "a", "--upl").job is Job.UPLOAD


@pytest.mark.parametrize("text", [DIGEST, DIGEST.upper(), "sha256:" + DIGEST, None])
def test_fingerprints(text: str | None) -> None:
    spelled = text or ":".join(DIGEST[n : n + 2].upper() for n in range(0, 64, 2))
    assert parse("--list", "--fingerprint", spelled).settings.fingerprint == DIGEST


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "nothing to do"),
        (["-v"], "nothing to do"),
        (["-i", "a", "--list"], "--input and --list exclude"),
        (["--play", "x", "--download", "x"], "--download and --play exclude"),
        (["--list", "-o", "a"], "--output has no meaning with --list"),
        (["--download", "x", "--upload_only"], "--upload_only has no meaning with --download"),
        (["-i", "a", "--upload_only", "-o", "b"], "--output has no meaning with --upload_only"),
        (["-i", "a", "--sink", "null"], "--sink has no meaning with --input"),
        (["--download", "x", "--id", "y"], "--id has no meaning with --download"),
        (["--list", "--fingerprint", DIGEST, "--insecure"], "exclude each other"),
        (["--list", "--fingerprint", "1234"], "64 hexadecimal"),
        (["-i", "a", "-o", "-"], "--play ID --sink -"),
        (["-i", ""], "--input: it is empty"),
        (["--list", "--pasword", "x"], "did you mean --password?"),
        (["stray"], "'stray'"),
        (["--list", "--password", "x", "--password_file", "y"], "exclude each other"),
        (["--play", "x", "--start", "-1"], "--start"),
    ],
)
def test_usage_errors(argv: list[str], words: str) -> None:
    assert words in error(*argv)


def test_passwords() -> None:
    assert parse("--list").settings.password is None
    from_env = parse("--list", env="x").settings
    assert (from_env.password, from_env.is_password_given) == ("x", False)
    from_argv = parse("--list", "-p", "y", env="x")
    assert (from_argv.settings.password, from_argv.settings.is_password_given) == ("y", True)
    assert from_argv.notices == (PASSWORD_NOTICE,)
    from_file = parse("--list", "--password_file", "-", env="x", stdin=b"z\n")
    assert (from_file.settings.password, from_file.notices) == ("z", ())
    assert "hunter2" not in repr(parse("--list", "-p", "hunter2"))


def test_help() -> None:
    text = cache_help_text()
    assert all(len(line) < 80 and line == line.rstrip() for line in text.splitlines())
    flat = " ".join(text.split())
    for option in CACHE_OPTIONS:
        spelled = f"{', '.join(option.flags)} {option.metavar}".strip()
        assert f"{spelled} {option.meaning}" in flat
