"""Image archives that are written without a builder."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

from tests.cluster.machine import oci

if TYPE_CHECKING:
    from pathlib import Path


def test_an_archive_is_an_image_whose_digests_are_true(tmp_path: Path) -> None:
    entries = [oci.directory("bin"), oci.file("bin/tool", b"program", 0o755), oci.symlink("bin/other", "tool")]
    path = oci.write_archive(tmp_path / "image.tar", "localhost/image:1", entries, {"Cmd": ["/bin/tool"]})
    with tarfile.open(path) as archive:
        blobs = {name: archive.extractfile(name).read() for name in archive.getnames()}  # type: ignore[union-attr]

    def blob(described: dict[str, Any]) -> bytes:
        kind, _, digest = described["digest"].partition(":")
        data = blobs[f"blobs/{kind}/{digest}"]
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (digest, described["size"])
        return data

    (described,) = json.loads(blobs["index.json"])["manifests"]
    assert described["annotations"]["io.containerd.image.name"] == "localhost/image:1"
    manifest = json.loads(blob(described))
    config = json.loads(blob(manifest["config"]))
    layer = blob(manifest["layers"][0])
    assert config["config"] == {"Cmd": ["/bin/tool"]}
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    with tarfile.open(fileobj=io.BytesIO(layer)) as files:
        assert [(entry.name, entry.isdir(), entry.mode) for entry in files][:2] == [
            ("bin", True, 0o755),
            ("bin/tool", False, 0o755),
        ]
        assert files.getmember("bin/other").linkname == "tool"
