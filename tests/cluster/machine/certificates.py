"""A certificate authority of a cluster's own, by openssl."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cluster.machine.commands import run

if TYPE_CHECKING:
    from pathlib import Path

DAYS = "30"
_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", DAYS)
_CA_USAGE = "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"
_LEAF = (
    "basicConstraints=critical,CA:FALSE",
    "keyUsage=critical,digitalSignature",
    "extendedKeyUsage=serverAuth,clientAuth",
)


class Authority:
    """A certificate authority whose files, and those of what it signs, are in one directory.

    Args:
        directory: exists; ``NAME.crt`` and ``NAME.key`` are written into it.
        name: of the authority's own files.
    """

    def __init__(self, directory: Path, name: str = "ca") -> None:
        self.directory = directory
        self.certificate = directory / f"{name}.crt"
        self._key = directory / f"{name}.key"
        if not self.certificate.exists():
            subject = f"/CN=meshnet-test-{name}"
            _openssl(self.certificate, self._key, "-subj", subject, "-addext", _CA_USAGE)

    def issue(self, name: str, user: str, groups: tuple[str, ...] = (), sans: tuple[str, ...] = ()) -> Path:
        """Sign a new key and return the certificate's path; the key is beside it, as ``.key``.

        Args:
            name: of the files.
            user: the common name: what Kubernetes takes for the user.
            groups: the organizations: what Kubernetes takes for the groups.
            sans: as openssl writes them: ``DNS:name``, ``IP:address``.
        """
        certificate = self.directory / f"{name}.crt"
        subject = "".join(f"/O={_escaped(group)}" for group in groups) + f"/CN={_escaped(user)}"
        extensions = [*_LEAF, *([f"subjectAltName={','.join(sans)}"] if sans else [])]
        signer = ("-CA", str(self.certificate), "-CAkey", str(self._key))
        more = [word for extension in extensions for word in ("-addext", extension)]
        _openssl(certificate, certificate.with_suffix(".key"), *signer, "-subj", subject, *more)
        return certificate


def make_token_key(directory: Path) -> Path:
    """Make the key that signs service accounts' tokens, ``sa.key``, and ``sa.pub`` beside it."""
    key = directory / "sa.key"
    run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key])
    run(["openssl", "pkey", "-in", key, "-pubout", "-out", directory / "sa.pub"])
    return key


def _openssl(certificate: Path, key: Path, *more: str) -> None:
    run(["openssl", "req", "-x509", *_CURVE, *more, "-keyout", key, "-out", certificate])


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("/", "\\/")
