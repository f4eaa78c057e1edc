"""An OCI archive, read and unpacked with nothing but the standard library: as a runtime sees it."""

from __future__ import annotations

import json
import shutil
import tarfile
from typing import IO, TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"


@attrs.frozen
class Archive:
    """An image.

    Attributes:
        path: the file.
        name: as the archive names it.
        config: the image's configuration.
        layers: names of the members that hold them, lowest first.
    """

    path: Path
    name: str
    config: dict[str, Any]
    layers: Sequence[str]

    @classmethod
    def read(cls, path: Path) -> Archive:
        with tarfile.open(path) as tar:

            def load(name: str) -> Any:
                return json.load(member(tar, name))

            (described,) = load("index.json")["manifests"]
            manifest = load(blob(described["digest"]))
            annotations = described["annotations"]
            return cls(
                path,
                annotations.get("io.containerd.image.name") or annotations["org.opencontainers.image.ref.name"],
                load(blob(manifest["config"]["digest"])),
                [blob(layer["digest"]) for layer in manifest["layers"]],
            )

    def unpack(self, root: Path) -> None:
        """Make the root file system; its owners are who unpacks it."""
        with tarfile.open(self.path) as tar:
            for layer in self.layers:
                with tarfile.open(fileobj=member(tar, layer)) as files:
                    for entry in files:
                        place(files, entry, root)


def place(files: tarfile.TarFile, entry: tarfile.TarInfo, root: Path) -> None:
    """Put one entry of a layer in place, or remove what it says that is gone from the layers below."""
    directory, _, name = entry.name.rpartition("/")
    if name == OPAQUE:
        gone = list((root / directory).iterdir())
    elif name.startswith(WHITEOUT):
        gone = [root / directory / name.removeprefix(WHITEOUT)]
    else:
        if not entry.isdev():
            files.extract(entry, root, filter="tar")
        return
    for path in gone:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def blob(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    found = tar.extractfile(name)
    assert found is not None, name
    return found
