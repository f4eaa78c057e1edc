"""A cluster to measure on: meshnet put into its nodes' chain of plugins and taken out again, and each call timed."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cluster_shapes import IMAGE, NAMESPACES
from figures import process_seconds
from programs import ROOT, compiled

from meshnet.cni.install.names import BIN_DIR, CONF_DIR, LIST, PLUGIN
from tests.cluster.machine import oci
from tests.cluster.machine.binaries import find_binaries
from tests.cluster.machine.bringup import temporary_cluster
from tests.cluster.machine.commands import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.machine.cluster import Cluster
    from tests.cluster.machine.node import Node

TIMED_DIR = Path("/opt/cni/timed")
TIMES = "/run/cni-times"
_BIN_DIRS = f'bin_dirs = ["{BIN_DIR}"]'
_CPU = "for pid in $(pgrep -f '[m]eshnet daemon$'); do cat /proc/$pid/stat /proc/$pid/smaps_rollup; done"


class Call(NamedTuple):
    """A call of the plugin: what was asked, how long it took in milliseconds, its exit code."""

    command: str
    ms: float
    code: int


class Daemons(NamedTuple):
    """What the daemons of all nodes have taken: processor seconds together, memory in MB (10^6 bytes) of each."""

    seconds: float
    rss: list[float]
    pss: list[float]


class Bed:
    """A cluster, bare until `wire`, bare again after `unwire`."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.nodes: list[Node] = list(cluster.nodes.values())

    @classmethod
    @contextlib.contextmanager
    def running(cls, archive: Path) -> Iterator[Bed]:
        """Have one for the time of the block.

        Args:
            archive: meshnet's image.
        """
        with temporary_cluster(f"bench-{os.getpid()}", find_binaries(may_build=True)) as cluster:
            bed = cls(cluster)
            program = compiled(ROOT / "benchmarks" / "firstping.c", cluster.plane.directory)
            entry = oci.file("firstping", program.read_bytes(), 0o755)
            image = oci.write_archive(program.with_suffix(".tar"), IMAGE, [entry], {"Entrypoint": ["/firstping"]})
            cluster.import_images(archive, image)
            for namespace in NAMESPACES:
                cluster.kubectl("create", "namespace", namespace)
            bed.time_the_plugin(compiled(ROOT / "benchmarks" / "timed.c", cluster.plane.directory))
            yield bed

    def time_the_plugin(self, program: Path) -> None:
        """Have the runtime of each node find `program` in the plugin's place."""
        for node in self.nodes:
            node.path(str(TIMED_DIR)).mkdir()
            timed = node.path(str(TIMED_DIR / PLUGIN))
            timed.write_bytes(program.read_bytes())
            timed.chmod(0o755)
            config = node.path("/etc/containerd/config.toml")
            text = config.read_text()
            assert _BIN_DIRS in text
            config.write_text(text.replace(_BIN_DIRS, f'bin_dirs = ["{TIMED_DIR}", "{BIN_DIR}"]'))
            node.request("kill", "containerd")
        for node in self.nodes:
            wait_for(lambda node=node: _answers(node), f"containerd of {node.name}")  # type: ignore[misc]
        self.cluster.wait_nodes_ready()

    def wire(self, manifests: Path) -> None:
        """Install meshnet and wait until it is in every node's chain.

        Args:
            manifests: a kustomization.
        """
        self.cluster.apply_directory(manifests)
        self.cluster.kubectl("rollout", "status", "daemonset/meshnet", "--namespace=meshnet", "--timeout=120s")
        for node in self.nodes:
            wait_for(_list(node).exists, f"the network list of {node.name}")

    def unwire(self) -> None:
        """Take the daemons and the plugin's place in the chain away."""
        daemonset = ("daemonset/meshnet", "--namespace=meshnet", "--ignore-not-found")
        self.cluster.kubectl("delete", *daemonset, "--cascade=foreground", "--timeout=120s")
        gone = ("wait", "--for=delete", "pod", "--selector=name=meshnet", "--namespace=meshnet", "--timeout=120s")
        self.cluster.kubectl(*gone)
        for node in self.nodes:
            _list(node).unlink(missing_ok=True)

    def calls(self) -> list[Call]:
        """Return the plugin's calls on all nodes since the last time, and forget them."""
        found = []
        for node in self.nodes:
            path = node.path(TIMES)
            with contextlib.suppress(FileNotFoundError):
                for line in path.read_text().splitlines():
                    command, us, code = line.split()
                    found.append(Call(command, int(us) / 1e3, int(code)))
                path.unlink()
        return found

    def daemons(self) -> Daemons:
        """Return what the daemons have taken since they were started."""
        seconds = 0.0
        rss: list[float] = []
        pss: list[float] = []
        for node in self.nodes:
            for line in node.run("sh", "-c", _CPU).splitlines():
                words = line.split()
                if words[0] in ("Rss:", "Pss:"):
                    (rss if words[0] == "Rss:" else pss).append(int(words[1]) * 1024 / 1e6)
                elif words[0].isdecimal():
                    seconds += process_seconds(line)
        return Daemons(seconds, rss, pss)


def _list(node: Node) -> Path:
    return node.path(str(CONF_DIR / LIST))


def _answers(node: Node) -> bool:
    return node.try_run(str(node.binaries.ctr), "version").returncode == 0
