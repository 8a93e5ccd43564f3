"""A certificate that the program makes for itself: ECDSA on P-256, X.509 v3.

Nobody else vouches for it, so a browser asks its user; whoever compares the fingerprint
knows whom they talk to. Source: RFC 5280, and SEC 1 for the key.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from echowarp.errors import ConfigError

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
KEY_SEED_BYTES = 40
"""64 bits more than the order has, so that no key is likelier than another."""
SERIAL_BYTES = 20
COMMON_NAME = "EchoWarp"

Moment: TypeAlias = Any
"""A datetime with its zone, which comes from outside: clocks are nothing for this folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeCertificate:
    """Both as PEM. key: PKCS #8, not encrypted."""

    certificate: bytes
    key: bytes = field(repr=False)


def make_certificate(
    hosts: Iterable[str],
    *,
    not_before: Moment,
    not_after: Moment,
    random_bytes: Callable[[int], bytes],
) -> MadeCertificate:
    """Makes a key and a certificate for it that it has signed itself.

    hosts: names and numeric addresses that it is for; one that is no name that a
    certificate can hold is left out.
    """
    seed = int.from_bytes(random_bytes(KEY_SEED_BYTES), "big")
    key = ec.derive_private_key(seed % (P256_ORDER - 1) + 1, ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, COMMON_NAME)])
    serial = int.from_bytes(random_bytes(SERIAL_BYTES), "big") >> 1
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial | 1)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectAlternativeName(_names(hosts)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return MadeCertificate(
        certificate=certificate.public_bytes(pem),
        key=key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def _names(hosts: Iterable[str]) -> list[x509.GeneralName]:
    names: dict[x509.GeneralName, None] = {}
    for host in hosts:
        try:
            names[x509.IPAddress(ipaddress.ip_address(host.partition("%")[0]))] = None
        except ValueError:
            if host.isascii() and host:
                names[x509.DNSName(host)] = None
    return list(names)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """What a certificate says. hosts: names and addresses, in lower case; fingerprint:
    SHA-256 over its DER form, as hex digits in pairs."""

    hosts: tuple[str, ...]
    not_after: Moment
    fingerprint: str


def read_certificate(pem: bytes) -> CertificateFacts:
    """The facts of the first certificate in a PEM text. Raises ConfigError when there is
    none that can be read."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        hosts = _hosts(certificate)
    except ValueError as error:
        raise ConfigError("there is no certificate in it (PEM)") from error
    return CertificateFacts(
        hosts=hosts,
        not_after=_not_after(certificate),
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(":").upper(),
    )


def _not_after(certificate: x509.Certificate) -> Moment:
    # Older versions of the library know only the naive one, which newer ones warn of.
    aware = getattr(certificate, "not_valid_after_utc", None)
    return certificate.not_valid_after if aware is None else aware


def _hosts(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    names = found.value.get_values_for_type(x509.DNSName)
    addresses = found.value.get_values_for_type(x509.IPAddress)
    return tuple(str(each).lower() for each in (*names, *addresses))
