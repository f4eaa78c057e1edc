"""The network configuration of a lab: meshnet alone, or behind a primary plugin."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.errors import MeshnetError
from meshnet.presence import is_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NETWORK_NAME = "meshnet-lab"
PLUGIN_DIRECTORIES = (Path("/opt/cni/bin"), Path("/usr/lib/cni"), Path("/usr/libexec/cni"))


@attrs.frozen
class NetworkList:
    """A CNI network configuration list, and where its plugins are.

    Attributes:
        version: the CNI version that all of them speak.
        plugins: their configurations, without name and version.
        programs: program by plugin type.
        path: `CNI_PATH`, where plugins look for those that they delegate to.
    """

    name: str
    version: str
    plugins: tuple[Mapping[str, Any], ...]
    programs: Mapping[str, Path]
    path: str


def lab_network(
    meshnet: Path,
    primary: str,
    node_number: int,
    data: Path,
    directories: Sequence[Path] = PLUGIN_DIRECTORIES,
) -> NetworkList:
    """Return the list for one node.

    Args:
        meshnet: our plugin.
        primary: ``none``, or ``bridge`` for the reference bridge with host-local addresses as eth0.
        node_number: from 1; the pods of node N get 10.244.N.0/24.
        data: directory of the node for what plugins remember.
        directories: where the reference plugins may be.

    Raises MeshnetError when a reference plugin is not on this machine.
    """
    path = ":".join(map(str, (meshnet.parent, *directories)))
    programs = {"meshnet": meshnet}
    if primary == "none":
        return NetworkList(NETWORK_NAME, "1.1.0", ({"type": "meshnet"},), programs, path)
    programs["bridge"] = find_plugin("bridge", directories)
    find_plugin("host-local", directories)
    # Debian's reference plugins are 1.1.1, which speak 1.0.0 at most
    return NetworkList(NETWORK_NAME, "1.0.0", (_bridge(node_number, data), {"type": "meshnet"}), programs, path)


def _bridge(node_number: int, data: Path) -> dict[str, Any]:
    return {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": f"10.244.{node_number}.0/24"}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(data / "host-local"),
        },
    }


def find_plugin(kind: str, directories: Sequence[Path] = PLUGIN_DIRECTORIES) -> Path:
    """Return the program of a reference plugin. Raises MeshnetError with the places, also those that are closed."""
    places = []
    for directory in directories:
        program = directory / kind
        try:
            if is_file(program):
                return program
            places.append(str(directory))
        except OSError as error:
            places.append(f"{directory} ({error.strerror})")
    raise MeshnetError(f"CNI plugin {kind!r}: not in {', '.join(places)} (Debian: package containernetworking-plugins)")
