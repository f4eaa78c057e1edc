"""Every setting of a daemon: an environment variable each, or a line in a file; read once, at the start."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.cni.install.names import Places
from meshnet.driver.api import Scope
from meshnet.errors import InvalidObject, Problem
from meshnet.model import rules
from meshnet.model.node_record import PORT

if TYPE_CHECKING:
    from collections.abc import Mapping

_NODE_RIGHT = "a node's name: at most 253 of a-z, 0-9, '-', '.', a letter or digit at both ends of what is between dots"
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)

SOCKET_NAME = "meshnetd.sock"
LONGEST_SOCKET = 107
"""Bytes of the path of a unix socket: what the kernel has room for."""


@attrs.frozen
class Settings:
    """What a daemon is told.

    Attributes:
        node: NODE_NAME: this node's name; the host's by default.
        node_ip: HOST_IP: the address that peers reach this node at, ``""`` when unknown.
        run_dir: MESHNET_RUN_DIR: the socket and the checkpoints; gone after a reboot.
        state_dir: MESHNET_STATE_DIR: what survives a reboot.
        socket: MESHNET_SOCKET: where the CNI plugin and commands find the daemon.
        store: MESHNET_STORE: ``sqlite:PATH``, ``memory:``, ``kubernetes:``; by default that of the cluster in a pod.
        prefer: MESHNET_PREFER_SAME_NODE, _BETWEEN_NODES, _EXTERNAL: the driver for links that name none; between nodes
            also INTER_NODE_LINK_TYPE.
        port: MESHNET_PORT: where the daemons of other nodes reach this one, TCP.
        underlay_interface: MESHNET_UNDERLAY_INTERFACE: by which to reach them; else HOST_INTF, else the one that has
            `node_ip`. Its first address counts where it has not got that one.
        underlay_mtu: MESHNET_UNDERLAY_MTU: of the path to them, where it is smaller than the interface's; 0: that.
        peer_timeout_s: MESHNET_PEER_TIMEOUT_SECONDS: a node that does not answer for so long is dead.
        peer_grace_s: MESHNET_PEER_GRACE_SECONDS: so long may the daemon of a node that answers be away before links
            that need it to forward lose their carrier.
        rotate_days: MESHNET_ROTATE_DAYS: age by which this node's certificate is renewed; 0: never.
        drivers: MESHNET_DRIVER_NAME, for any driver: what is set for it, by the variable's name.
        pass_s: MESHNET_PASS_SECONDS: between two full passes over everything.
        cni: MESHNET_CNI_BIN_DIR, MESHNET_CNI_CONF_DIR: where the daemon installs the plugin and its network list; None:
            nowhere.
        readiness_gate: MESHNET_READINESS_GATE: whether pods are told, in a condition of theirs, that their links are
            ready; only in a cluster.
        log_level: MESHNET_LOG_LEVEL: debug, info, warning, error.
        log_format: MESHNET_LOG_FORMAT: text, json.
    """

    node: str
    node_ip: str
    run_dir: Path
    state_dir: Path
    socket: Path
    store: str
    prefer: Mapping[Scope, str]
    port: int
    underlay_interface: str
    underlay_mtu: int
    peer_timeout_s: float
    peer_grace_s: float
    rotate_days: int
    drivers: Mapping[str, str]
    pass_s: float
    cni: Places | None
    readiness_gate: bool
    log_level: str
    log_format: str

    @classmethod
    def read(cls, env: Mapping[str, str]) -> Settings:
        """Return the settings that an environment gives. Raises InvalidObject with all that is wrong."""
        reader = _Reader(env)
        run_dir = reader.path("MESHNET_RUN_DIR", "/run/meshnet")
        state_dir = reader.path("MESHNET_STATE_DIR", "/var/lib/meshnet")
        settings = cls(
            node=reader.node_name("NODE_NAME", socket.gethostname().lower()),
            node_ip=reader.address("HOST_IP"),
            run_dir=run_dir,
            state_dir=state_dir,
            socket=reader.socket_in(run_dir),
            store=reader.text("MESHNET_STORE", _default_store(env, state_dir)),
            prefer=reader.prefer(),
            port=reader.number("MESHNET_PORT", PORT, 1, 65535),
            underlay_interface=reader.text("MESHNET_UNDERLAY_INTERFACE", reader.text("HOST_INTF", "")),
            underlay_mtu=reader.number("MESHNET_UNDERLAY_MTU", 0, 1280, 65535),
            peer_timeout_s=reader.seconds("MESHNET_PEER_TIMEOUT_SECONDS", 3.0),
            peer_grace_s=reader.seconds("MESHNET_PEER_GRACE_SECONDS", 10.0),
            rotate_days=reader.number("MESHNET_ROTATE_DAYS", 90, 0, 3650),
            drivers={name: value for name, value in env.items() if value and name.startswith("MESHNET_")},
            pass_s=reader.seconds("MESHNET_PASS_SECONDS", 60.0),
            cni=reader.places("MESHNET_CNI_BIN_DIR", "MESHNET_CNI_CONF_DIR"),
            readiness_gate=reader.choice("MESHNET_READINESS_GATE", ("false", "true")) == "true",
            log_level=reader.choice("MESHNET_LOG_LEVEL", ("info", "debug", "warning", "error")),
            log_format=reader.choice("MESHNET_LOG_FORMAT", ("text", "json")),
        )
        reader.done()
        return settings

    def of_driver(self, name: str) -> dict[str, str]:
        """Return what is set for a driver: of ``MESHNET_WIRE_PORT=1`` for driver ``wire`` ``{"port": "1"}``."""
        prefix = f"MESHNET_{name.upper().replace('-', '_')}_"
        return {
            key.removeprefix(prefix).lower(): value for key, value in self.drivers.items() if key.startswith(prefix)
        }


def _default_store(env: Mapping[str, str], state_dir: Path) -> str:
    return "kubernetes:" if env.get("KUBERNETES_SERVICE_HOST") else f"sqlite:{state_dir / 'store.db'}"


class _Reader:
    """Reads variables and collects what is wrong with them. An empty one counts as absent."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._problems: list[Problem] = []

    def text(self, name: str, default: str) -> str:
        return self._env.get(name) or default

    def path(self, name: str, default: str) -> Path:
        given = self._env.get(name)
        if given and not Path(given).is_absolute():
            self._wrong(name, given, "an absolute path")
        return Path(given or default)

    def socket_in(self, run_dir: Path) -> Path:
        found = self.path("MESHNET_SOCKET", str(run_dir / SOCKET_NAME))
        if len(os.fsencode(found)) > LONGEST_SOCKET:
            if self._env.get("MESHNET_SOCKET"):
                self._wrong("MESHNET_SOCKET", str(found), f"a path of at most {LONGEST_SOCKET} bytes")
            else:
                most = LONGEST_SOCKET - len(f"/{SOCKET_NAME}")
                right = f"a path of at most {most} bytes, or MESHNET_SOCKET for a socket elsewhere"
                self._wrong("MESHNET_RUN_DIR", str(run_dir), right)
        return found

    def places(self, bin_dir: str, conf_dir: str) -> Places | None:
        given = [name for name in (bin_dir, conf_dir) if self._env.get(name)]
        if len(given) == 1:
            self._wrong(given[0], self._env[given[0]], f"both {bin_dir} and {conf_dir}, or neither")
        found = Places(*(self.path(name, "/") for name in (bin_dir, conf_dir)))
        return found if given else None

    def node_name(self, name: str, default: str) -> str:
        value = self.text(name, default)
        if not rules.is_subdomain(value):
            self._wrong(name, value, _NODE_RIGHT)
        return value

    def address(self, name: str) -> str:
        value = self.text(name, "")
        try:
            return str(ipaddress.ip_address(value)) if value else ""
        except ValueError:
            self._wrong(name, value, "an IP address")
            return ""

    def seconds(self, name: str, default: float) -> float:
        value = self.text(name, str(default))
        try:
            number = float(value)
        except ValueError:
            number = 0.0
        if not 0.1 <= number <= 86_400:
            self._wrong(name, value, "seconds, 0.1 to 86400")
            return default
        return number

    def number(self, name: str, default: int, least: int, most: int) -> int:
        value = self.text(name, "")
        if not value:
            return default
        if not _NUMBER.fullmatch(value) or not least <= int(value) <= most:
            self._wrong(name, value, f"a whole number, {least} to {most}")
            return default
        return int(value)

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name, allowed[0]).lower()
        if value not in allowed:
            self._wrong(name, value, "one of " + ", ".join(allowed))
        return value

    def prefer(self) -> dict[Scope, str]:
        names = {scope: self.text(f"MESHNET_PREFER_{scope.name}", "") for scope in Scope}
        names[Scope.BETWEEN_NODES] = names[Scope.BETWEEN_NODES] or self.text("INTER_NODE_LINK_TYPE", "")
        return {scope: name for scope, name in names.items() if name}

    def done(self) -> None:
        if self._problems:
            raise InvalidObject("settings", self._problems)

    def _wrong(self, name: str, value: Any, right: str) -> None:
        self._problems.append(Problem(name, value, right))


def read_file(path: Path) -> dict[str, str]:
    """Return the settings in a file of ``NAME=VALUE`` lines (``#`` begins a comment), in UTF-8.

    Raises InvalidObject for lines that are none, OSError and UnicodeDecodeError when the file cannot be read.
    """
    found: dict[str, str] = {}
    problems = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        name, equals, value = stripped.partition("=")
        if not equals or not name.strip().isidentifier() or "\0" in line:
            problems.append(Problem(f"line {number}", line, "NAME=VALUE"))
        found[name.strip()] = value.strip()
    if problems:
        raise InvalidObject(f"settings {path}", problems)
    return found
