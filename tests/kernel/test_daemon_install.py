"""A daemon that is told where to installs itself, follows what changes, and leaves it all there when it ends."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from meshnet.cni.client import ask
from meshnet.cni.install.names import Places
from tests.kernel.pods import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kernel.daemons import DaemonNode

pytestmark = pytest.mark.kernel


def primary(places: Places, *types: str) -> None:
    document = {"name": "net", "cniVersion": "1.0.0", "plugins": [{"type": kind} for kind in types]}
    fresh = places.conf_dir / "fresh"
    fresh.write_text(json.dumps(document))
    fresh.replace(places.conf_dir / "10-net.conflist")


def chained(places: Places) -> list[str]:
    if not places.list.exists():
        return []
    return [plugin["type"] for plugin in json.loads(places.list.read_text())["plugins"]]


def test_it_installs_follows_and_leaves_it_there(node: DaemonNode, tmp_path: Path) -> None:
    places = Places(tmp_path / "bin", tmp_path / "net.d")
    places.bin_dir.mkdir()
    settings = {"MESHNET_CNI_BIN_DIR": str(places.bin_dir), "MESHNET_CNI_CONF_DIR": str(places.conf_dir)}

    node.stop()
    node.start(**settings)
    assert eventually(lambda: "is not there" in ask(node.socket, "health")["cni"]["problem"])
    places.conf_dir.mkdir()
    primary(places, "bridge")
    assert eventually(lambda: chained(places) == ["bridge", "meshnet"]), node.log()
    primary(places, "bridge", "portmap")
    assert eventually(lambda: chained(places) == ["bridge", "portmap", "meshnet"]), node.log()
    assert eventually(lambda: ask(node.socket, "health")["cni"]["problem"] == "")

    node.stop()

    assert chained(places) == ["bridge", "portmap", "meshnet"]
    assert os.access(places.plugin, os.X_OK)


def test_one_that_is_not_told_installs_nothing(node: DaemonNode) -> None:
    assert "cni" not in ask(node.socket, "health")
