"""A node's certificate, which it signs itself."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress

VALID = datetime.timedelta(days=3650)
SKEW = datetime.timedelta(days=1)
"""By so much clocks may differ."""

_LONGEST_CN = 64


def make_certificate(node: str, made: float) -> tuple[str, str]:
    """Return a new P-256 key and a certificate of its own for a node, both PEM; valid from a day before `made` on."""
    # Only who makes one pays for the import.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, node[:_LONGEST_CN])])
    names: list[x509.GeneralName] = [x509.DNSName(node)]
    with contextlib.suppress(ValueError):  # a node may be named after its address
        names.append(x509.IPAddress(ipaddress.ip_address(node)))
    begin = datetime.datetime.fromtimestamp(made, datetime.UTC) - SKEW
    marked = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), begin, begin + VALID)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)  # it vouches for nobody else
        .add_extension(usage, critical=False)
        # The two certificates of a renewal have one name: they are told apart by these.
        .add_extension(marked, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(marked), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return secret.decode(), certificate.public_bytes(serialization.Encoding.PEM).decode()
