"""Kubeconfig files that hold all that they need: they work from any directory and namespace that reaches the server."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_kubeconfig(path: Path, server: str, authority: Path, certificate: Path) -> Path:
    """Write the configuration of a client with a certificate, whose key is beside it, and return its path."""
    key = certificate.with_suffix(".key")
    return _write(
        path, server, authority, {"client-certificate-data": _data(certificate), "client-key-data": _data(key)}
    )


def write_token_kubeconfig(path: Path, server: str, authority: Path, token: str) -> Path:
    """Write the configuration of a client with a service account's token and return its path."""
    return _write(path, server, authority, {"token": token})


def _write(path: Path, server: str, authority: Path, user: dict[str, str]) -> Path:
    name = "meshnet-test"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": _data(authority)}}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(document, indent=1))
    return path


def _data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
