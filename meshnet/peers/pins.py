"""Which certificates are whose: those of the node records, and no other."""

from __future__ import annotations

import base64
import hashlib
import re
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


MOST = 4
"""Certificates of one node; it needs two."""


_PEM = re.compile(r"\s*-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*")


def fingerprint(pem: str) -> str:
    """Return what a certificate is known by, however its PEM is laid out. Raises ValueError when it is no PEM."""
    return _mark(_decode(pem))


def _mark(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()


def _decode(pem: str) -> bytes:
    found = _PEM.fullmatch(pem)
    if found is None:
        raise ValueError("no PEM of one certificate")
    return base64.b64decode("".join(found[1].split()), validate=True)


def _read(pem: str) -> bytes:
    """Return a certificate, DER. Raises ValueError when it is none: gRPC trusts nothing that comes after such a one."""
    der = _decode(pem)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=der)
    except ssl.SSLError as error:
        raise ValueError(str(error)) from None
    if _length(der) != len(der):
        raise ValueError("more than a certificate")
    return der


def _length(der: bytes) -> int:
    """Return how long the first element of DER is, with its head."""
    size = der[1]
    if size < 0x80:
        return 2 + size
    head = 2 + (size & 0x7F)
    return head + int.from_bytes(der[2:head], "big")


class Pins:
    """Certificates by node. A record may hold another's certificate: who asks says which node it is asking for."""

    def __init__(self) -> None:
        self._certificates: dict[str, dict[str, str]] = {}

    def set(self, node: str, certificates: Iterable[str]) -> int:
        """Pin exactly these of a node, none to forget it; return how many of them are no certificates."""
        pinned, broken = {}, 0
        for number, pem in enumerate(certificates):
            try:
                der = _read(pem)
            except ValueError:
                broken += 1
            else:
                if number < MOST:
                    pinned[_mark(der)] = ssl.DER_cert_to_PEM_cert(der)
        if pinned:
            self._certificates[node] = pinned
        else:
            self._certificates.pop(node, None)
        return broken

    def of(self, node: str) -> Mapping[str, str]:
        """Return a node's certificates, PEM by fingerprint, in the order of its record."""
        return self._certificates.get(node, {})

    def all(self) -> list[str]:
        """Return every pinned certificate, PEM."""
        return [pem for pinned in self._certificates.values() for pem in pinned.values()]
