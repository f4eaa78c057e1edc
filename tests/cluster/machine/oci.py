"""OCI image archives, written without a registry or a builder."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Entry = tuple[tarfile.TarInfo, bytes]
_OCI = "application/vnd.oci.image"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def write_archive(path: Path, name: str, entries: Iterable[Entry], config: dict[str, Any]) -> Path:
    """Write an image of one layer, for this machine's architecture, and return the archive's path.

    Args:
        path: of the archive.
        name: of the image, with its tag.
        entries: of the layer; directories first.
        config: what a container of it runs with: ``Entrypoint``, ``Cmd``, ``Env``, ``User``.
    """
    blobs: dict[str, bytes] = {}
    layer = _blob(blobs, _layer(entries), "layer.v1.tar")
    machine = _ARCHITECTURES.get(platform.machine(), platform.machine())
    files = {"type": "layers", "diff_ids": [layer["digest"]]}
    image = {"architecture": machine, "os": "linux", "config": config, "rootfs": files}
    described = _blob(blobs, _json(image), "config.v1+json")
    kind = f"{_OCI}.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": kind, "config": described, "layers": [layer]}
    found = _blob(blobs, _json(manifest), "manifest.v1+json")
    found["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
    with tarfile.open(path, "w") as archive:
        _add(archive, file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'))
        _add(archive, file("index.json", _json({"schemaVersion": 2, "manifests": [found]})))
        for digest, data in blobs.items():
            _add(archive, file(f"blobs/sha256/{digest}", data))
    return path


def file(name: str, data: bytes, mode: int = 0o644) -> Entry:
    """Return a file for an archive."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), mode
    return info, data


def directory(name: str, mode: int = 0o755) -> Entry:
    """Return a directory for an archive."""
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, mode
    return info, b""


def symlink(name: str, target: str) -> Entry:
    """Return a symbolic link for an archive."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info, b""


def _blob(blobs: dict[str, bytes], data: bytes, kind: str) -> dict[str, Any]:
    """Keep a blob and return its descriptor."""
    digest = hashlib.sha256(data).hexdigest()
    blobs[digest] = data
    return {"mediaType": f"{_OCI}.{kind}", "digest": f"sha256:{digest}", "size": len(data)}


def _layer(entries: Iterable[Entry]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as layer:
        for entry in entries:
            _add(layer, entry)
    return written.getvalue()


def _add(archive: tarfile.TarFile, entry: Entry) -> None:
    archive.addfile(entry[0], io.BytesIO(entry[1]))


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True).encode()
