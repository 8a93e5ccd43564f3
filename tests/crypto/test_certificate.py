from __future__ import annotations

import datetime
import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from echowarp.crypto.certificate import P256_ORDER, make_certificate, read_certificate
from echowarp.errors import ConfigError

BEGIN = datetime.datetime(2030, 1, 2, tzinfo=datetime.timezone.utc)
END = BEGIN + datetime.timedelta(days=820)
HOSTS = ("localhost", "studio.local", "127.0.0.1", "::1", "fe80::1%eth0", "bücher", "", "localhost")


def made_of(byte: bytes) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    made = make_certificate(
        HOSTS, not_before=BEGIN, not_after=END, random_bytes=lambda count: byte * count
    )
    key = serialization.load_pem_private_key(made.key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return x509.load_pem_x509_certificate(made.certificate), key


@pytest.mark.parametrize("byte", [b"\0", b"\x5a", b"\xff"])
def test_it_is_signed_with_its_own_key(byte: bytes) -> None:
    certificate, key = made_of(byte)
    certificate.verify_directly_issued_by(certificate)
    assert certificate.public_key() == key.public_key()
    assert isinstance(key.curve, ec.SECP256R1)
    assert 1 <= key.private_numbers().private_value < P256_ORDER
    assert 0 < certificate.serial_number < 1 << 159


def test_what_it_says() -> None:
    certificate, _ = made_of(b"\x07")
    facts = read_certificate(certificate.public_bytes(serialization.Encoding.PEM))
    assert facts.hosts == ("localhost", "studio.local", "127.0.0.1", "::1", "fe80::1")
    assert facts.not_after == END
    der = certificate.public_bytes(serialization.Encoding.DER)
    assert facts.fingerprint.replace(":", "").lower() == hashlib.sha256(der).hexdigest()
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_the_key_is_made_of_the_randomness() -> None:
    first, again, other = made_of(b"\1")[1], made_of(b"\1")[1], made_of(b"\2")[1]
    assert first.private_numbers() == again.private_numbers() != other.private_numbers()


def test_the_key_is_not_in_the_repr() -> None:
    made = make_certificate(
        ["a"], not_before=BEGIN, not_after=END, random_bytes=lambda count: b"k" * count
    )
    assert "PRIVATE" not in repr(made)


@pytest.mark.parametrize("pem", [b"", b"x", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_what_is_no_certificate(pem: bytes) -> None:
    with pytest.raises(ConfigError, match="no certificate"):
        read_certificate(pem)
