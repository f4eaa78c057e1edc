"""Whether the place to act on answers: its daemons, their signs of life, their drivers, its store."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.cli.answers import ask
from meshnet.cli.checks.advice import advice
from meshnet.cli.checks.drivers import cure_here, on_nodes
from meshnet.cli.checks.finding import Finding, Outcome
from meshnet.cli.checks.frames import check_frames
from meshnet.cli.checks.links import check_links
from meshnet.cli.links import ends, join
from meshnet.errors import MeshnetError
from meshnet.model.resource import Kind
from meshnet.stores.cluster import ClusterStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from meshnet.cli.checks.drivers import Row
    from meshnet.cli.targets.base import Target
    from meshnet.stores.base import Store

ALIVE_EVERY_S = 5.0
"""A daemon touches its file `alive` that often; the plugin's STATUS fails when it is a minute old."""

_CURE_ASKING = "start it (meshnet daemon; in a lab: meshnet lab node NODE start), or look at its log"


def check_node(target: Target, sockets: Iterable[Path]) -> list[Finding]:
    """Return what the daemons at these sockets say, the store of the target, and whether its links are up and carry."""
    found = [Finding("node", "target", Outcome.OK, target.name)]
    wrong: dict[str, list[Row]] = {}
    for socket in sockets:
        try:
            health, drivers = ask(socket, "health"), ask(socket, "drivers")["drivers"]
        except MeshnetError as error:
            found.append(Finding("node", "daemon", Outcome.FAIL, str(error), _CURE_ASKING))
            continue
        found += _daemon(socket, health)
        # what this command finds of drivers is without the daemon's settings and rights
        wrong[health["node"]] = [row for row in drivers if row["state"] != "usable"]
    return [*found, *on_nodes(wrong, cure_here), *_store(target), *_links(target)]


def no_target(why: str, *, wrong: bool) -> Finding:
    """Return the remark that nothing runs that could be asked; `wrong`: that it is not known what is meant."""
    cure = "every command that names no lab, cluster or node fails alike" if wrong else ""
    return Finding("node", "target", Outcome.WARN if wrong else Outcome.OK, f"not asked: {why}", cure)


def unreachable(why: str, cure: str) -> Finding:
    """Return that a place could not be asked."""
    return Finding("node", "target", Outcome.FAIL, why, cure)


def _daemon(socket: Path, health: Mapping[str, Any]) -> list[Finding]:
    told = ", ".join(f"{key} {value}" for key, value in health.items() if not isinstance(value, dict | list))
    answers = Finding("node", "daemon", Outcome.OK, f"{socket}: answers; {told}")
    if not health.get("synced", True):
        cure = "it has not read the Topologies from its store yet: wait; if it stays so, its log tells why"
        answers = attrs.evolve(answers, outcome=Outcome.FAIL, advice=cure)
    return [answers, _alive(socket.parent / "alive"), *_installed(health.get("cni"))]


def _installed(told: Mapping[str, Any] | None) -> list[Finding]:
    """What a daemon says that installs the CNI plugin; nothing of one that does not."""
    if told is None:
        return []
    if told["problem"]:
        cure = "meshnet cni status, on that node, tells more; it is tried again at every change and by itself"
        return [Finding("plugin", "installation", Outcome.FAIL, told["problem"], cure)]
    done = f"{told['conf_dir']}: meshnet is chained after {told['source']}"
    if told["remarks"]:
        return [Finding("plugin", "installation", Outcome.WARN, done, "; ".join(told["remarks"]))]
    return [Finding("plugin", "installation", Outcome.OK, done)]


def _alive(file: Path) -> Finding:
    cure = "the daemon hangs: look at its log; the plugin's STATUS will fail, and the node turn NotReady"
    try:
        age = time.time() - file.stat().st_mtime
    except OSError as error:
        return Finding("node", "alive", Outcome.FAIL, f"{file}: {error.strerror}", cure)
    late = age > 2 * ALIVE_EVERY_S
    told = f"{file}: touched {age:.1f} s ago, must be every {ALIVE_EVERY_S:g} s"
    return Finding("node", "alive", Outcome.FAIL if late else Outcome.OK, told, cure if late else "")


def _store(target: Target) -> list[Finding]:
    if not target.store_url:
        return [Finding("node", "store", Outcome.WARN, "not known", "set MESHNET_STORE as the daemon has it")]

    try:
        number = len(target.objects(Kind.TOPOLOGY))
    except MeshnetError as error:
        return [Finding("node", "store", Outcome.FAIL, str(error), "check path and rights of the store")]
    return [Finding("node", "store", Outcome.OK, f"{target.store_url}: {number} topologies"), *check_schemas(target)]


def _links(target: Target) -> list[Finding]:
    try:
        declared = ends(target.objects(Kind.TOPOLOGY))
        rows = join(declared, target.ask("links").rows("links"))
        return [*check_links(rows, advice), *check_frames(target, declared)] if rows else []
    except MeshnetError:
        return []  # a store or a daemon that does not answer, which is told


def check_schemas(target: Target) -> list[Finding]:
    """Return a finding for each schema of the cluster that is older than this release; none in a lab."""

    async def complaints(store: Store) -> Sequence[str]:
        return await store.schema_complaints() if isinstance(store, ClusterStore) else ()

    try:
        found = target.with_store(complaints)
    except MeshnetError as error:
        cure = "ask who may read CustomResourceDefinitions whether they are of this release"
        return [Finding("node", "schema", Outcome.WARN, f"not known: {error}", cure)]
    return [Finding("node", "schema", Outcome.FAIL, told, "kubectl apply -k manifests/base") for told in found]
