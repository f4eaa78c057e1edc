"""Which certificates are whose: those of the node records, and no other."""

from __future__ import annotations

import hashlib
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def fingerprint(pem: str) -> str:
    """Return what a certificate is known by, however its PEM is laid out. Raises ValueError when it is no PEM."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.strip())).hexdigest()


class Pins:
    """Certificates by node. A record may hold another's certificate: who asks says which node it is asking for."""

    def __init__(self) -> None:
        self._certificates: dict[str, dict[str, str]] = {}

    def set(self, node: str, certificates: Iterable[str]) -> int:
        """Pin exactly these of a node, none to forget it; return how many of them are no certificates."""
        pinned, broken = {}, 0
        for pem in certificates:
            try:
                pinned[fingerprint(pem)] = pem.strip() + "\n"
            except ValueError:
                broken += 1
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
