"""A node of a benchmark: the real daemon in the benchmark's own namespaces, and pods attached by the real plugin."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshnet.cni import client
from meshnet.cni.plugin import plugin_command
from meshnet.lab import underlay
from meshnet.model.resource import DEFAULT_NAMESPACE, Kind
from meshnet.netlink import netns
from meshnet.stores.open import open_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from meshnet.stores.base import Store

RUN = Path("/run/meshnet")
STORE = f"sqlite:{RUN / 'store.db'}"
CONFIG = {"cniVersion": "1.0.0", "name": "bench", "type": "meshnet"}
READY_S = 20.0
STOPPED_S = 20.0
SETTLED_S = 60.0


class BenchPod:
    """A pod's sandbox: a named network namespace, and what a runtime tells the plugin about it."""

    def __init__(self, name: str, directory: Path = RUN) -> None:
        self.name = name
        self.directory = directory
        self.container_id = secrets.token_hex(32)
        self.path = f"/run/netns/{name}-{self.container_id[:8]}"
        netns.new_netns(self.path)

    def environment(self, command: str) -> dict[str, str]:
        """Return the plugin's environment for a command."""
        return {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": self.container_id,
            "CNI_NETNS": self.path,
            "CNI_IFNAME": "eth0",
            "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={self.name}",
            "MESHNET_SOCKET": str(self.directory / "meshnetd.sock"),
        }

    def remove(self) -> None:
        """Let go of the namespace."""
        netns.delete_netns(self.path)


class BenchNode:
    """A node and its daemon, which lives in the network namespace of the thread that starts it.

    Args:
        name: of the node.
        directory: of all the daemon's files.
        settings: more environment for the daemon.

    Attributes:
        name: of the node.
    """

    def __init__(self, name: str = "n1", directory: Path = RUN, **settings: str) -> None:
        self.name = name
        self._directory = directory
        self._config = directory / "config.json"
        self._log = directory / "daemon.log"
        self._settings = settings
        self._daemon: subprocess.Popen[bytes] | None = None
        self._plugin = plugin_command()
        directory.mkdir(parents=True, exist_ok=True)
        self._config.write_text(json.dumps(CONFIG))

    @classmethod
    @contextlib.contextmanager
    def running(cls, documents: Sequence[dict[str, Any]] = ()) -> Iterator[BenchNode]:
        """Start a daemon whose store has these topologies; it and its files are gone at the end of the ``with``."""
        node = cls()
        fill_store(documents)
        here = netns.own_netns()
        underlay.prepare_node(here)
        os.close(here)
        node.start_daemon()
        try:
            node.until_ready()
            yield node
        finally:
            node.kill_daemon()
            shutil.rmtree(RUN)

    @property
    def daemon(self) -> subprocess.Popen[bytes]:
        """Return the daemon's process."""
        assert self._daemon is not None
        return self._daemon

    def start_daemon(self) -> None:
        """Start the daemon in the calling thread's network namespace, without waiting for it."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MESHNET_")},
            "MESHNET_RUN_DIR": str(self._directory),
            "MESHNET_STATE_DIR": str(self._directory / "state"),
            "MESHNET_STORE": STORE,
            "NODE_NAME": self.name,
            **self._settings,
        }
        with self._log.open("ab") as output:
            self._daemon = subprocess.Popen([sys.executable, "-m", "meshnet", "daemon"], env=environment, stderr=output)

    def kill_daemon(self) -> None:
        """End the daemon as a crash does."""
        self.daemon.kill()
        self.daemon.wait()

    def stop_daemon(self) -> None:
        """End the daemon as an upgrade does."""
        self.daemon.terminate()
        self.daemon.wait(STOPPED_S)

    def until_ready(self) -> None:
        """Wait until the daemon takes connections. Ends the benchmark when that takes too long."""
        deadline = time.monotonic() + READY_S
        while not client.listens(self._directory / "meshnetd.sock"):
            if self.daemon.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"the daemon of {self.name} does not start: {self.last_words()}")
            time.sleep(0.005)

    def pod(self, name: str) -> BenchPod:
        """Return a new sandbox on this node, not attached yet."""
        return BenchPod(name, self._directory)

    def start(self, command: str, pod: BenchPod) -> int:
        """Start the plugin and return its pid. What it prints goes to waste."""
        return spawn(self._plugin, pod.environment(command), self._config)

    def call(self, command: str, pod: BenchPod) -> float:
        """Run the plugin; return seconds from its start to its end. Ends the benchmark when it fails."""
        began = time.perf_counter()
        pid = self.start(command, pod)
        _, status = os.waitpid(pid, 0)
        took = time.perf_counter() - began
        if status:
            sys.exit(f"{command} of {pod.name} failed: {self.last_words()}")
        return took

    def call_together(self, command: str, pods: Sequence[BenchPod]) -> tuple[list[float], float]:
        """Run the plugin for all pods at once; return seconds of each, and of all."""
        began: dict[int, float] = {}
        first = time.perf_counter()
        for pod in pods:
            now = time.perf_counter()
            began[self.start(command, pod)] = now
        took = []
        while began:
            pid, status = os.waitpid(-1, 0)
            if status or pid not in began:
                sys.exit(f"{command} at once: process {pid} failed ({status}): {self.last_words()}")
            took.append(time.perf_counter() - began.pop(pid))
        return took, time.perf_counter() - first

    def attach(self, names: Sequence[str]) -> dict[str, BenchPod]:
        """Make these pods and attach them, two at a time as a lab does, and wait until all link ends are up."""
        pods = {name: self.pod(name) for name in names}
        self.add_all(list(pods.values()))
        self.until_up()
        return pods

    def add_all(self, pods: Sequence[BenchPod], at_once: int = 2) -> None:
        """ADD every pod, so many at once. Ends the benchmark when one fails."""
        waiting, running = list(reversed(pods)), 0
        while waiting or running:
            while waiting and running < at_once:
                self.start("ADD", waiting.pop())
                running += 1
            pid, status = os.waitpid(-1, 0)
            running -= 1
            if status:
                sys.exit(f"an ADD failed (process {pid}, {status}): {self.last_words()}")

    def until_up(self) -> None:
        """Wait until every link end on the node is up. Ends the benchmark when that takes too long."""
        deadline = time.monotonic() + SETTLED_S
        while (summary := self.ask("summary"))["up"] < summary["endpoints"]:
            if time.monotonic() > deadline:
                sys.exit(f"not all link ends come up: {summary}: {self.last_words()}")
            time.sleep(0.002)

    def ask(self, query: str) -> dict[str, Any]:
        """Ask the daemon."""
        answer: dict[str, Any] = client.ask(self._directory / "meshnetd.sock", query, timeout_s=30.0)
        return answer

    def last_words(self) -> str:
        """Return the end of the daemon's log."""
        return self._log.read_text(errors="replace")[-800:]


def spawn(program: Path, environment: dict[str, str], config: Path) -> int:
    """Start a plugin with `config` as its input, its output thrown away; return its pid."""
    files = [
        (os.POSIX_SPAWN_OPEN, 0, str(config), os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
    ]
    return os.posix_spawn(program, [str(program)], environment, file_actions=files)


def fill_store(documents: Sequence[Mapping[str, Any]]) -> None:
    """Put topologies into the store of all nodes, all in one write."""
    asyncio.run(_in_store(lambda store: store.apply_all(documents)))


def delete_topology(name: str) -> None:
    """Take a topology out of the store of all nodes."""
    asyncio.run(_in_store(lambda store: store.delete(Kind.TOPOLOGY, DEFAULT_NAMESPACE, name)))


async def _in_store(do: Callable[[Store], Awaitable[object]]) -> None:
    store = open_store(STORE)
    try:
        await do(store)
    finally:
        await store.close()
