"""What meshnet is called in the runtime's directories, and what its predecessor left there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PLUGIN = "meshnet"
"""The program's name and the `type` that calls it."""
LIST = "00-meshnet.conflist"
"""Sorts before what other networks are called, so that a runtime takes it; upstream's name as well."""
OLD_CONFIG = "00-meshnet.conf"
"""Of upstream before it was chained: it delegated. It sorts before `LIST`, and would win."""
OLD_LINK_TYPE = "meshnet-inter-node-link-type"
"""Where upstream's daemon told its plugin what INTER_NODE_LINK_TYPE is."""

BIN_DIR = Path("/opt/cni/bin")
CONF_DIR = Path("/etc/cni/net.d")


@dataclass(frozen=True, slots=True)
class Places:
    """The runtime's two directories on a node.

    Attributes:
        bin_dir: where it looks for plugins.
        conf_dir: where it looks for network lists.
    """

    bin_dir: Path = BIN_DIR
    conf_dir: Path = CONF_DIR

    @property
    def plugin(self) -> Path:
        """Where our plugin belongs."""
        return self.bin_dir / PLUGIN

    @property
    def list(self) -> Path:
        """Where our network list belongs."""
        return self.conf_dir / LIST
