"""Where a command acts: a lab, whose box it enters, or a node, by its store and its daemon's socket."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from meshnet.cli.ask import ask_all
from meshnet.errors import UsageError
from meshnet.lab.enter import enter_box
from meshnet.lab.record import LabRecords, find_lab
from meshnet.stores.open import open_store

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable, Mapping

    from meshnet.stores.base import Store

T = TypeVar("T")

RUN_DIR = Path("/run/meshnet")
LAB_STORE = f"sqlite:{RUN_DIR}/store.db"
SOCKET = "meshnetd.sock"


@attrs.frozen
class Target:
    """A place to act on.

    Attributes:
        name: as a user knows it: ``lab demo``, ``node``.
        store_url: where the Topologies are; ``""`` when only a daemon is known.
        sockets: of the daemons.
        nodes: their names, where they are known before anybody answers.
        in_lab: whether this process is in a lab's box, whose supervisor can be asked.
    """

    name: str
    store_url: str
    sockets: tuple[Path, ...]
    nodes: tuple[str, ...] = ()
    in_lab: bool = False

    def with_store(self, function: Callable[[Store], Awaitable[T]]) -> T:
        """Open the store, run `function` on it in an event loop, and close the store.

        Raises UsageError when no store is known, StoreUnavailable, and what `function` raises.
        """
        if not self.store_url:
            raise UsageError("no store to ask: set MESHNET_STORE as well, as the daemon has it")

        async def run() -> T:
            store = open_store(self.store_url)
            try:
                return await function(store)
            finally:
                await store.close()

        return asyncio.run(run())

    def ask(self, query: str) -> dict[str, dict[str, Any]]:
        """Return the answers of all daemons that can be reached, by node."""
        return ask_all(self.sockets, query)


def find_target(args: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> Target:
    """Return where this command acts. A lab's box is entered: files of the user must have been read before.

    Raises UsageError naming what could be given.
    """
    refuse_cluster(args)
    if args.lab:
        return _lab(args.lab)
    if environ.get("MESHNET_STORE") or environ.get("MESHNET_SOCKET"):
        return _node(environ)
    if LabRecords.of_this_user().running():
        return _lab(None)
    raise UsageError(
        "nothing to act on: no lab runs (start one: meshnet lab up FILE), "
        "and no node is named by MESHNET_STORE and MESHNET_SOCKET"
    )


def refuse_cluster(args: argparse.Namespace) -> None:
    """Raise UsageError when a cluster is asked for."""
    for option in ("context", "kubeconfig"):
        value = getattr(args, option)
        if value:
            raise UsageError(f"--{option} {value}: this version acts on labs and nodes only; use --lab NAME")


def _lab(name: str | None) -> Target:
    record = find_lab(name)
    enter_box(record)
    return inside_lab(record.name)


def inside_lab(name: str) -> Target:
    """Return the lab in whose box this process is."""
    nodes = sorted(path.name for path in (RUN_DIR / "nodes").iterdir())
    sockets = tuple(RUN_DIR / "nodes" / node / SOCKET for node in nodes)
    return Target(f"lab {name}", LAB_STORE, sockets, tuple(nodes), in_lab=True)


def _node(environ: Mapping[str, str]) -> Target:
    default = Path(environ.get("MESHNET_RUN_DIR") or RUN_DIR) / SOCKET
    named = environ.get("MESHNET_SOCKET")
    sockets = [Path(named)] if named else [default] if default.exists() else []
    return Target("node", environ.get("MESHNET_STORE", ""), tuple(sockets))
