"""What `lab up` is asked for pod by pod and node by node: ``--place``, ``--uplink``, ``--set``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshnet.errors import InvalidObject, UsageError
from meshnet.model.rules import RuleError, interface_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_VARIABLE = re.compile(r"MESHNET_[A-Z0-9_]+|INTER_NODE_LINK_TYPE|HOST_IP|HOST_INTF")
THE_LABS_OWN = frozenset({"MESHNET_RUN_DIR", "MESHNET_STATE_DIR", "MESHNET_SOCKET", "MESHNET_STORE", "MESHNET_LAB"})
"""Settings of a daemon that the lab gives it."""
TAKEN = "cni0"
"""No name for an uplink: of the bridge of ``--primary bridge``."""


def places(words: Iterable[str]) -> dict[str, str]:
    """Return node by pod from ``POD=NODE``. Raises UsageError."""
    found = {}
    for word in words:
        pod, equals, node = word.rpartition("=")
        if not (pod and equals and node):
            raise UsageError(f"--place {word}: must be POD=NODE")
        found[pod] = node
    return found


def uplinks(words: Iterable[str], nodes: Sequence[str]) -> dict[str, str]:
    """Return the uplink's name by node from ``NODE=NAME``. Raises UsageError."""
    found = {}
    for word in words:
        node, equals, name = word.partition("=")
        if not (node and equals and name):
            raise UsageError(f"--uplink {word}: must be NODE=NAME")
        _check_node(f"--uplink {word}", node, nodes)
        try:
            found[node] = interface_name(name)
        except RuleError as error:
            raise UsageError(f"--uplink {word}: {name!r}: {error}") from error
        if name == TAKEN:
            raise UsageError(f"--uplink {word}: {name!r} is taken: must be another name")
    return found


def settings(
    words: Iterable[str], nodes: Sequence[str], of_all: Mapping[str, str] | None = None
) -> dict[str, Mapping[str, str]]:
    """Return the environment of each node's daemon.

    Args:
        words: ``NAME=VALUE`` for every node, ``NODE:NAME=VALUE`` for one, which goes before.
        nodes: names of all nodes.
        of_all: what every daemon gets; `words` go before it.

    Raises UsageError when a word cannot be understood, or no daemon would start with it.
    """
    common: dict[str, str] = dict(of_all or {})
    found: dict[str, dict[str, str]] = {node: {} for node in nodes}
    for word in words:
        left, equals, value = word.partition("=")
        node, colon, name = left.rpartition(":")
        if not equals or (colon and not node):
            raise UsageError(f"--set {word}: must be NAME=VALUE or NODE:NAME=VALUE")
        if not _VARIABLE.fullmatch(name):
            right = "must be a setting of the daemon: MESHNET_..., INTER_NODE_LINK_TYPE, HOST_IP or HOST_INTF"
            raise UsageError(f"--set {word}: {name!r}: {right}")
        if name in THE_LABS_OWN:
            raise UsageError(f"--set {word}: {name} is the lab's own affair: must be another setting")
        if node:
            _check_node(f"--set {word}", node, nodes)
        (found[node] if node else common)[name] = value
    whole = {node: {**common, **own} for node, own in found.items()}
    for node, variables in whole.items():
        if words and variables:
            _check_settings(node, variables)
    return dict(whole)


def _check_settings(node: str, variables: Mapping[str, str]) -> None:
    from meshnet.daemon.settings import Settings  # noqa: PLC0415 - most labs set nothing

    try:
        Settings.read({**variables, "NODE_NAME": node})
    except InvalidObject as error:
        raise UsageError(f"--set: the daemon of node {node} would not start: {error}") from error


def _check_node(what: str, node: str, nodes: Sequence[str]) -> None:
    if node not in nodes:
        raise UsageError(f"{what}: no node {node!r} (nodes: {', '.join(nodes)})")
