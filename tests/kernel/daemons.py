"""A node's daemon as a process of its own, its pods, and the real CNI plugin: all that a runtime does to meshnet."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.cni.client import ask
from meshnet.cni.plugin import plugin_command
from meshnet.errors import DaemonUnreachable, NotFound
from meshnet.model.resource import Kind
from meshnet.netlink import LinkInfo, Netlink, addresses, links
from meshnet.netlink.netns import entered
from meshnet.reconcile.inspect import LOOPBACK
from meshnet.stores.open import open_store
from tests.driver.conftest import Site
from tests.kernel.pods import eventually
from tests.reconcile.made import link, topology

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from pathlib import Path

    from meshnet.model.resource import Resource
    from meshnet.stores.base import Store

NETWORK = "mesh"
NODE_IP = "198.51.100.1"
"""On the node's loopback."""
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def pair(mtu: int = 1500, **fields: Any) -> list[dict[str, Any]]:
    """The Topologies of r1 and r2 with one link between them."""
    return [
        topology("r1", link(1, "eth1", "r2:eth1", local_ip="10.0.0.1/24", mtu=mtu, **fields)),
        topology("r2", link(1, "eth1", "r1:eth1", local_ip="10.0.0.2/24", mtu=mtu, **fields)),
    ]


def distribution(directory: Path, name: str, source: str) -> str:
    """Install a distribution whose one module has this source; return its place in PYTHONPATH."""
    site = directory / "site"
    site.mkdir()
    Site(site).install(name, source)
    return str(site)


@attrs.frozen
class Answer:
    """What a runtime gets from the plugin."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        """What a call that must have succeeded printed."""
        assert self.code == 0, self
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def error(self) -> dict[str, Any]:
        """The error object of a call that must have failed."""
        assert self.code == 1, self
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def done(self) -> bool:
        return self.code == 0


@attrs.define(eq=False)
class PodBox:
    """A pod as the runtime has it: a network namespace, ended by closing its descriptor."""

    name: str
    container: str
    fd: int

    @property
    def netns(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def run(self, *command: str, check: bool = True) -> str:
        """Run a program in the pod's network and return what it prints."""
        with entered(self.fd):
            done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 0 or not check, (command, done.stdout, done.stderr)
        return done.stdout

    @contextlib.contextmanager
    def running(self, *command: str) -> Iterator[subprocess.Popen[str]]:
        """Have a program run in the pod's network; it is ended with the ``with`` if it has not ended by itself."""
        with entered(self.fd):
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        with process:
            try:
                yield process
            finally:
                process.kill()

    def links(self) -> dict[str, LinkInfo]:
        """Its interfaces by name, without lo; while the daemon is making many, some may be missing."""
        with Netlink.open(self.fd) as netlink:
            found = [links.parse_link(payload) for payload in netlink.dump(links.dump_links(), steady=False)]
        return {info.name: info for info in found if info.name != "lo"}

    def carrier(self, interface: str = "eth1") -> bool:
        return self.links()[interface].carrier

    def addresses(self, interface: str = "eth1") -> list[str]:
        (shown,) = json.loads(self.run("ip", "-j", "addr", "show", "dev", interface))
        return [f"{a['local']}/{a['prefixlen']}" for a in shown["addr_info"] if a["scope"] == "global"]

    def end(self) -> None:
        """Let the namespace die without a word to anybody."""
        os.close(self.fd)


def indexes(*pods: PodBox) -> list[dict[str, int]]:
    """The ifindexes of each pod's interfaces, by name: one that was made anew has another."""
    return [{name: info.ifindex for name, info in pod.links().items()} for pod in pods]


class DaemonNode:
    """A node: a network namespace in which the test's thread is, and a daemon process in it.

    Attributes:
        process: the daemon's; None while there is none.
    """

    def __init__(self, directory: Path, new_ns: Callable[[], int]) -> None:
        self.directory = directory
        self.socket = directory / "run" / "meshnetd.sock"
        self.process: subprocess.Popen[bytes] | None = None
        self._new_ns = new_ns
        self._uri = f"sqlite:{directory / 'store.db'}"
        self._settings: dict[str, str] = {}
        with Netlink.open() as netlink:
            netlink.run([addresses.add_address(LOOPBACK, f"{NODE_IP}/32"), links.set_link(LOOPBACK, up=True)])

    # ---- the daemon

    def start(self, **settings: str) -> None:
        """Start the daemon, and wait until it has read the store."""
        self.begin(**settings)
        assert eventually(self.ready, within=60), self.log()

    def begin(self, **settings: str) -> None:
        """Start the daemon, with settings that stay for its next starts."""
        self._settings |= settings
        env = {
            "PATH": os.environ["PATH"],
            "NODE_NAME": "n1",
            "HOST_IP": NODE_IP,
            "MESHNET_RUN_DIR": str(self.directory / "run"),
            "MESHNET_STATE_DIR": str(self.directory / "state"),
            "MESHNET_STORE": self._uri,
            **self._settings,
        }
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen([sys.executable, "-m", "meshnet", "daemon"], env=env, stderr=log)

    def ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        try:
            return bool(ask(self.socket, "health")["synced"])
        except DaemonUnreachable:
            return False

    def answers(self) -> bool:
        """Whether the daemon serves, with its store or without."""
        try:
            return ask(self.socket, "health") is not None
        except DaemonUnreachable:
            return False

    def kill(self) -> None:
        """End the daemon as kill -9 does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the daemon as a service manager does; it must end by itself and well."""
        assert self._end(signal.SIGTERM) == 0, self.log()

    def close(self) -> None:
        if self.process is not None:
            self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        process, self.process = self.process, None
        process.send_signal(number)
        return process.wait(20)

    def log(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            return (self.directory / "log").read_text()
        return ""

    def ask(self, query: str) -> dict[str, Any]:
        found: dict[str, Any] = ask(self.socket, query)
        return found

    def proc(self, name: str) -> str:
        """Return a file of the daemon's process in /proc."""
        assert self.process is not None
        with open(f"/proc/{self.process.pid}/{name}") as file:
            return file.read()

    def descriptors(self) -> int:
        """Return how many are open, but for what is open for a moment alone, as a file that is being written."""
        assert self.process is not None
        looks = []
        for _ in range(5):
            looks.append(len(os.listdir(f"/proc/{self.process.pid}/fd")))
            time.sleep(0.01)
        return min(looks)

    # ---- pods, as a runtime makes them

    def pod(self, name: str, container: str = "") -> PodBox:
        """Make a pod's namespace; nothing is wired yet."""
        return PodBox(name, container or f"c-{name}", self._new_ns())

    def add(self, pod: PodBox, **more: Any) -> Answer:
        return self.cni("ADD", pod, **more)

    def delete(self, pod: PodBox, **more: Any) -> Answer:
        return self.cni("DEL", pod, **more)

    def up(self, *names: str) -> list[PodBox]:
        """Make pods and add each; every ADD must succeed."""
        pods = [self.pod(name) for name in names]
        for pod in pods:
            assert self.add(pod).done, self.log()
        return pods

    def cni(self, command: str, pod: PodBox, *, netns: str | None = None, **more: Any) -> Answer:
        """Call the plugin for a pod, as the runtime would."""
        process = self.cni_begin(command, pod, netns=netns, **more)
        out, err = process.communicate(timeout=30)
        return Answer(process.returncode, out, err)

    def cni_begin(
        self,
        command: str,
        pod: PodBox | None,
        *,
        netns: str | None = None,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        **config: Any,
    ) -> subprocess.Popen[str]:
        """Start the plugin with its whole input given; the caller waits for it."""
        variables = {"PATH": os.environ["PATH"], "CNI_COMMAND": command, "MESHNET_SOCKET": str(self.socket)}
        if pod is not None:
            variables |= {
                "CNI_CONTAINERID": pod.container,
                "CNI_NETNS": pod.netns if netns is None else netns,
                "CNI_IFNAME": "eth0",
                "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={pod.name}",
            }
        body = {"cniVersion": "1.1.0", "name": NETWORK, "type": "meshnet", **config}
        with tempfile.TemporaryFile(dir=self.directory) as file:
            file.write(json.dumps(body).encode() if stdin is None else stdin)
            file.seek(0)
            return subprocess.Popen(
                [plugin_command()],
                stdin=file,
                env=variables | dict(env or {}),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

    def run(self, command: str) -> str:
        """Run a program, without a shell, on the node."""
        done = subprocess.run(command.split(), capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def netlink_links(self) -> list[LinkInfo]:
        """Every link of the node's namespace but lo."""
        with Netlink.open() as netlink:
            found = [links.parse_link(payload) for payload in netlink.dump(links.dump_links(), steady=False)]
        return [info for info in found if info.name != "lo"]

    def ports(self) -> dict[str, LinkInfo]:
        """The ports in the kernel, by name."""
        return {info.name: info for info in self.netlink_links() if info.name.startswith("mn")}

    def state(self, pod: str, interface: str = "eth1") -> tuple[str, str]:
        """(state, reason) of an end as the daemon has it; ("", "") when it has none."""
        for row in self.ask("links")["links"]:
            if (row["pod"], row["interface"]) == (pod, interface):
                return row["state"], row["reason"]
        return "", ""

    # ---- the store, as a user has it

    def apply(self, *documents: Mapping[str, Any]) -> None:
        self._store(lambda store: store.apply_all(documents))

    def withdraw(self, name: str) -> None:
        """Delete a Topology."""
        self._store(lambda store: store.delete(Kind.TOPOLOGY, "default", name))

    def stored(self, name: str) -> Resource:
        return self._store(lambda store: store.get(Kind.TOPOLOGY, "default", name))

    def status(self, name: str) -> Mapping[str, Any]:
        try:
            return self.stored(name).status
        except NotFound:
            return {}

    def patch_status(self, name: str, status: Mapping[str, Any]) -> None:
        self._store(lambda store: store.patch_status(Kind.TOPOLOGY, "default", name, status))

    def events(self, name: str) -> list[str]:
        """The reasons of what was told about a Topology."""
        told = self._store(lambda store: store.events())
        about = f"Topology default/{name}"
        return [event.reason for event in told if event.about == about for _ in range(event.count)]

    def _store(self, use: Callable[[Store], Awaitable[Any]]) -> Any:
        async def run() -> Any:
            store = open_store(self._uri)
            try:
                return await use(store)
            finally:
                await store.close()

        return asyncio.run(run())
