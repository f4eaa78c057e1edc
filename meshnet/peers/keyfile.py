"""A key and its certificate, in one file so that they cannot differ, under a head of two lines."""

from __future__ import annotations

import logging
import re
import ssl
from typing import TYPE_CHECKING

import attrs

from meshnet.errors import MeshnetError
from meshnet.wholefile import write_whole

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

_HEAD = re.compile(r"\ANode: (?P<node>\S+)\nMade: (?P<made>\d{1,11})\n")
_BLOCK = re.compile(r"-----BEGIN (?P<kind>[A-Z ]+)-----\n.*?\n-----END (?P=kind)-----\n", re.DOTALL)


@attrs.frozen
class KeyPair:
    """A key and its certificate.

    Attributes:
        key: PEM.
        certificate: PEM.
        made: seconds since 1970; of the previous pair: when it was put down.
    """

    key: str = attrs.field(repr=False)
    certificate: str
    made: float


def save(path: Path, node: str, pair: KeyPair) -> None:
    """Write a node's pair, so that it survives the loss of power. Raises OSError."""
    text = f"Node: {node}\nMade: {int(pair.made)}\n{pair.key}{pair.certificate}"
    write_whole(path, text.encode(), durable=True)


def load(path: Path, node: str) -> KeyPair | None:
    """Return the pair of a file; None when there is none, or an empty one: some file systems leave that after a crash.

    Raises MeshnetError when it is broken or another node's, OSError.
    """
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise MeshnetError(f"{path}: it is no text") from None
    if not text:
        log.warning("%s is empty and counts as absent", path)
        return None
    return _parse(path, node, text)


def _parse(path: Path, node: str, text: str) -> KeyPair:
    head = _HEAD.match(text)
    blocks = {match["kind"]: match[0] for match in _BLOCK.finditer(text)}
    if head is None or blocks.keys() != {"PRIVATE KEY", "CERTIFICATE"}:
        raise MeshnetError(f"{path}: it is not a head, a key and a certificate")
    if head["node"] != node:
        raise MeshnetError(f"{path}: it is the identity of node {head['node']}, and this is {node}")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path)
    except ssl.SSLError as error:
        raise MeshnetError(f"{path}: its key and certificate do not fit: {error}") from None
    if path.stat().st_mode & 0o077:
        log.warning("%s could be read by others; its mode is 0600 again", path)
        path.chmod(0o600)
    return KeyPair(blocks["PRIVATE KEY"], blocks["CERTIFICATE"], float(head["made"]))
