"""A lab as its user drives it: by the installed command, and by programs run in its pods."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

LIMIT_S = 100
PROGRAMS = Path(__file__).with_name("programs")
INSTALLED = (str(Path(sys.executable).with_name("meshnet")),)


@attrs.frozen
class Interface:
    """A pod's interface, as the pod itself sees it."""

    name: str
    ifindex: int
    mac: str
    mtu: int
    carrier: bool
    addresses: tuple[str, ...]


@attrs.frozen
class Lab:
    """A lab by name; nothing of it is running until `up`.

    Attributes:
        command: how `meshnet` is called.
        python: interpreter for programs in pods.
        environ: of the commands.
        user: uid and gid of who runs them; None for the caller.
        directory: the commands' working directory.
    """

    name: str
    command: tuple[str, ...] = INSTALLED
    python: str = sys.executable
    environ: Mapping[str, str] = attrs.field(factory=lambda: dict(os.environ))
    user: int | None = None
    directory: str = "/"

    def run(
        self, *arguments: object, code: int | None = 0, limit_s: float = LIMIT_S
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on this lab and hold it to its exit code (None: any)."""
        ran = subprocess.run(
            [*self.command, *map(str, arguments)],
            **self._where(),
            capture_output=True,
            text=True,
            check=False,
            timeout=limit_s,
        )
        assert code is None or ran.returncode == code, f"{arguments}: exit {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
        return ran

    def up(self, *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        return self.run("lab", "up", *arguments, code=code)

    def down(self) -> None:
        self.run("lab", "down", self.name)

    def exec(self, pod: str, *command: object, code: int | None = 0) -> str:
        """Run a command in a pod and return what it printed."""
        return self.run("lab", "exec", pod, "--", *command, code=code).stdout

    def start(self, pod: str, program: str, *arguments: object, output: int = subprocess.PIPE) -> subprocess.Popen[str]:
        """Start one of `programs` in a pod; it ends when its stdin is closed."""
        text = (PROGRAMS / program).read_text()  # by its text: the checkout may be closed to the user
        command = [*self.command, "lab", "exec", pod, "--", self.python, "-c", text, *map(str, arguments)]
        return subprocess.Popen(command, **self._where(), stdin=subprocess.PIPE, stdout=output, text=True)

    def started_in(self, pod: str, output: TextIO, *command: object) -> AbstractContextManager[subprocess.Popen[str]]:
        """Start a command in a pod, its output in a file."""
        return self.started("lab", "exec", pod, "--", *command, output=output)

    @contextlib.contextmanager
    def started(self, *arguments: object, output: TextIO | None = None) -> Iterator[subprocess.Popen[str]]:
        """Start a command; it is ended with the ``with`` if it has not ended by itself."""
        process = subprocess.Popen([*self.command, *map(str, arguments)], **self._where(), text=True, stdout=output)
        try:
            yield process
        finally:
            process.kill()
            process.wait(LIMIT_S)

    def interfaces(self, pod: str) -> dict[str, Interface]:
        """Return a pod's interfaces, without the loopback."""
        return parse_interfaces(self.exec(pod, "ip", "-j", "address"))

    def carrier(self, place: str) -> bool:
        """Tell whether POD:INTERFACE has carrier, as the pod sees it."""
        pod, _, interface = place.partition(":")
        return self.interfaces(pod)[interface].carrier

    def pings(self, pod: str, address: str, *more: object) -> bool:
        """Tell whether an address answers a pod within a few seconds."""
        # One after the other: a ping ends early when an address resolution that began before it fails.
        command = ["ping", "-c", "1", "-W", "1", address.partition("/")[0]]
        tries = 1 if "-w" in more else 8
        return any(
            self.run("lab", "exec", pod, "--", *command[:-1], *more, command[-1], code=None).returncode == 0
            for _ in range(tries)
        )

    def get(self, what: str, *arguments: object) -> Any:
        return json.loads(self.run("get", what, *arguments, "-o", "json").stdout)

    def links(self) -> dict[int, dict[str, Any]]:
        """Return every link of the namespace by uid."""
        return {link["uid"]: link for link in self.get("links")}

    def end(self, place: str) -> dict[str, Any]:
        """Return the link that POD:INTERFACE is an end of."""
        (link,) = self.get("links", place)
        return dict(link)

    def apply(self, *files: object) -> None:
        self.run("apply", "-f", *files)

    def wait(self, state: str, *places: str, timeout_s: float = 30) -> None:
        self.run("wait", "--for", state, *places, "--timeout", timeout_s)

    def labs(self) -> list[dict[str, Any]]:
        """Return the labs of this user."""
        return list(json.loads(self.run("lab", "list", "-o", "json").stdout))

    def in_box(self, script: str) -> str:
        """Run a shell's script as root of the lab's whole box, which no `meshnet` command does."""
        pid = next(row["pid"] for row in self.labs() if row["name"] == self.name)
        # An ordinary user is root in the box's user namespace already; the cgroup namespace is the machine's.
        own = ("--user", "--mount", "--net", "--pid", "--uts", "--ipc", "--preserve-credentials")
        namespaces = ("--all",) if os.geteuid() == 0 else own
        # who enters mounts gets the root of all of them, and a lab in a chroot has another
        command = ["nsenter", "--target", str(pid), *namespaces, "--root", "sh", "-e", "-c", script]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def ports(self, node: str = "n1") -> list[str]:
        """Return the names of all ports of a node, from its kernel."""
        rows = json.loads(self.in_box(f"ip -n {node} -j link"))
        return [row["ifname"] for row in rows if row["ifname"].startswith("mn")]

    def filters(self, port: str, node: str = "n1") -> str:
        """Return what the kernel tells of the filters in front of a port's own drop."""
        shown = self.in_box(f"tc -n {node} filter show dev {port} ingress")
        return "\n".join(line for line in shown.splitlines() if " pref 49152 " not in line)

    def end_sandbox(self, pod: str) -> None:
        """End a pod's processes and its network namespace behind everybody's back, without any DEL."""
        netns = self.in_box(f"ls /run/netns | grep '^cni-default-{pod}-'").split()
        assert len(netns) == 1
        self.in_box(f"kill -9 $(ip netns pids {netns[0]}); ip netns delete {netns[0]}")

    def _where(self) -> dict[str, Any]:
        environ = {**self.environ, "MESHNET_LAB": self.name}
        where: dict[str, Any] = {"env": environ, "cwd": self.directory}
        return where if self.user is None else {**where, "user": self.user, "group": self.user, "extra_groups": []}


def parse_interfaces(text: str) -> dict[str, Interface]:
    """Return what ``ip -j address`` told, without the loopback."""
    found = {}
    for row in json.loads(text):
        if "LOOPBACK" in row["flags"]:
            continue
        addresses = [each for each in row["addr_info"] if each["scope"] != "link"]
        found[row["ifname"]] = Interface(
            name=row["ifname"],
            ifindex=row["ifindex"],
            mac=row["address"],
            mtu=row["mtu"],
            carrier="LOWER_UP" in row["flags"],
            addresses=tuple(sorted(f"{each['local']}/{each['prefixlen']}" for each in addresses)),
        )
    return found


def eventually(condition: Callable[[], object], what: str, within_s: float = 30) -> None:
    """Return as soon as `condition` holds; fail when it does not within bounded time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.05)
