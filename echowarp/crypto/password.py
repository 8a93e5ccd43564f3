"""From what a person types as a password to the bytes that CPace is given."""

from __future__ import annotations

import unicodedata

from echowarp.errors import ConfigError

MAX_PASSWORD_BYTES = 1024


def encode_password(password: str | None) -> bytes:
    """Prepares a password so that every keyboard and system makes the same bytes of it.

    Each Unicode space separator (Zs) becomes U+0020, the text is normalised to
    NFC and encoded as UTF-8 (after the OpaqueString profile of RFC 8265).

    password: the text as typed, or None where there is none.
    Returns 1..1024 bytes, or b"" for None.
    Raises ConfigError for an empty password, control characters (Cc), text
    that is not Unicode (lone surrogates), or more than 1024 bytes.
    """
    if password is None:
        return b""
    if not password:
        raise ConfigError("the password is empty: give one, or leave the option out")
    categories = [unicodedata.category(character) for character in password]
    if "Cc" in categories:
        raise ConfigError("the password contains a control character (such as Tab): remove it")
    if "Cs" in categories:
        raise ConfigError("the password is not valid text in this system's encoding: use UTF-8")
    spaced = "".join(
        " " if category == "Zs" else character
        for character, category in zip(password, categories, strict=True)
    )
    encoded = unicodedata.normalize("NFC", spaced).encode()
    if len(encoded) > MAX_PASSWORD_BYTES:
        raise ConfigError(
            f"the password is {len(encoded)} bytes long: use at most {MAX_PASSWORD_BYTES}"
        )
    return encoded
