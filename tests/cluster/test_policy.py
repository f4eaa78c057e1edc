"""The policy that keeps each daemon to its own node: what its token lets it write, and what it is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from meshnet.model.resource import API_VERSION
from tests.cluster.accounts import NAMESPACE, RECORDS, TOPOLOGIES, Daemons, record, refused
from tests.cluster.direct import Direct
from tests.cluster.resources import LINK, MERGE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cluster.direct import Answer

pytestmark = pytest.mark.cluster


def test_a_daemon_writes_the_record_of_its_node_and_of_no_other(daemons: Daemons) -> None:
    daemons.server.kubectl("delete", "meshnodes", "--all")
    own, other = record("n1", "n1", daemons.uid("n1")), record("n2", "n2", daemons.uid("n2"))

    assert daemons.of("n1").ask("POST", RECORDS, own).status == 201
    assert refused(daemons.of("n1").ask("POST", RECORDS, other), "node n1", "not of n2")

    assert daemons.of("n2").ask("POST", RECORDS, other).status == 201
    assert refused(daemons.of("n1").ask("PUT", f"{RECORDS}/n2", versioned(daemons, other)), "node n1", "not of n2")
    assert daemons.of("n1").ask("PUT", f"{RECORDS}/n1", versioned(daemons, own)).status == 200
    assert refused(daemons.of("n1").ask("DELETE", f"{RECORDS}/n2"), "cannot delete")


def versioned(daemons: Daemons, document: dict[str, Any]) -> dict[str, Any]:
    found = daemons.server.get("meshnode", document["metadata"]["name"])
    version = {"resourceVersion": found["metadata"]["resourceVersion"]}
    return {**document, "metadata": {**document["metadata"], **version}, "spec": {"addresses": ["192.0.2.9"]}}


@pytest.mark.parametrize("owner", [None, ("n2", "n2"), ("n1", "n2"), ("n2", "n1")])
def test_a_record_is_owned_by_its_node_and_goes_with_it(daemons: Daemons, owner: tuple[str, str] | None) -> None:
    """`owner`: whose name, and whose uid."""
    document = record("n1", owner[0], daemons.uid(owner[1])) if owner else record("n1")

    assert refused(daemons.of("n1").ask("POST", f"{RECORDS}?dryRun=All", document), "ownerReferences", "node n1")


@pytest.fixture
def topology(daemons: Daemons, request: pytest.FixtureRequest) -> Iterator[str]:
    """The path of a Topology that nobody runs."""
    name = f"t{abs(hash(request.node.name)) % 10**8}"
    document = {"apiVersion": API_VERSION, "kind": "Topology", "metadata": {"name": name, "namespace": NAMESPACE}}
    daemons.server.apply({**document, "spec": {"links": [LINK]}})
    yield f"{TOPOLOGIES}/{name}"
    daemons.server.kubectl("delete", "topology", name, "-n", NAMESPACE)


def status(daemon: Direct, path: str, **fields: Any) -> Answer:
    return daemon.ask("PATCH", f"{path}/status", {"status": fields}, MERGE)


def test_a_daemon_claims_a_pod_and_gives_it_back(daemons: Daemons, topology: str) -> None:
    assert status(daemons.of("n1"), topology, node="n1", epoch=1).status == 200
    assert status(daemons.of("n1"), topology, links_ready="0/1").status == 200
    assert status(daemons.of("n1"), topology, node=None).status == 200


def test_a_daemon_takes_a_pod_over_from_another_node(daemons: Daemons, topology: str) -> None:
    assert status(daemons.of("n1"), topology, node="n1", epoch=1).status == 200
    assert status(daemons.of("n2"), topology, node="n2", epoch=2).status == 200


@pytest.mark.parametrize(
    "fields", [{"node": "n1"}, {"node": None}, {"node": ""}, {"epoch": 9}, {"links_ready": "9/9"}, {"node": "n3"}]
)
def test_a_daemon_writes_nothing_about_a_pod_of_another_node(
    daemons: Daemons, topology: str, fields: dict[str, Any]
) -> None:
    assert status(daemons.of("n1"), topology, node="n1", epoch=1).status == 200

    assert refused(status(daemons.of("n2"), topology, **fields), "node n2", 'before: "n1"')


@pytest.mark.parametrize("fields", [{"node": "n2"}, {"epoch": 9}, {"conditions": []}])
def test_a_daemon_puts_no_other_node_where_none_stands(daemons: Daemons, topology: str, fields: dict[str, Any]) -> None:
    assert refused(status(daemons.of("n1"), topology, **fields), "node n1", 'before: ""')


HIGHEST = 2**53 - 1
STEP = 1_000_000


@pytest.mark.parametrize("epoch", [STEP + 3, HIGHEST, -1])
def test_a_daemon_uses_up_no_epochs(daemons: Daemons, topology: str, epoch: int) -> None:
    assert status(daemons.of("n1"), topology, node="n1", epoch=2).status == 200

    told = refused(status(daemons.of("n2"), topology, node="n2", epoch=epoch), "status.epoch", f"0 to {STEP + 2}")

    assert told
    assert status(daemons.of("n2"), topology, node="n2", epoch=STEP + 2).status == 200
    assert status(daemons.of("n1"), topology, node="n1", epoch=1).status == 200


def test_the_schema_has_a_last_epoch(daemons: Daemons, topology: str) -> None:
    name = topology.rpartition("/")[2]
    for epoch, right in ((2**63 - 1, False), (HIGHEST + 1, False), (HIGHEST, True)):
        patch = json.dumps({"status": {"node": "n1", "epoch": epoch}})
        told = daemons.server.try_kubectl("patch", "topology", name, "-n", NAMESPACE, "--type=merge",
                                          "--subresource=status", "-p", patch)  # fmt: skip
        assert (told.stderr == "") is right, told
        assert right or "status.epoch" in told.stderr
    assert status(daemons.of("n1"), topology, node=None).status == 200
    assert status(daemons.of("n2"), topology, node="n2", epoch=1).status == 200


def test_a_token_that_names_no_node_writes_nothing(daemons: Daemons, topology: str) -> None:
    assert refused(status(daemons.of(""), topology, node=""), "names no node")
    assert refused(status(daemons.of(""), topology, node="n1"), "names no node")
    assert refused(daemons.of("").ask("POST", RECORDS, record("n1", "n1", daemons.uid("n1"))), "names no node")


def test_daemons_in_another_namespace_are_kept_to_their_nodes_too(
    daemons: Daemons, topology: str, tmp_path: Path
) -> None:
    """A kustomization's `namespace` moves account and rights, and leaves what is written in the policy."""
    server = daemons.server
    server.kubectl("create", "serviceaccount", "meshnet", "-n", NAMESPACE)
    server.kubectl("create", "clusterrolebinding", "moved", "--clusterrole=meshnet-clusterrole",
                   f"--serviceaccount={NAMESPACE}:meshnet")  # fmt: skip
    moved = Direct(server.bearer(server.token(NAMESPACE, "meshnet")).kubeconfig, tmp_path)
    try:
        assert refused(moved.ask("POST", RECORDS, record("n1", "n1", daemons.uid("n1"))), "names no node")
        assert refused(status(moved, topology, node="n1", epoch=1), "names no node")
    finally:
        moved.close()
        server.kubectl("delete", "clusterrolebinding", "moved")


def test_a_daemon_changes_no_spec_and_makes_and_deletes_no_topology(daemons: Daemons, topology: str) -> None:
    document = {"apiVersion": API_VERSION, "kind": "Topology", "metadata": {"name": "more"}}

    assert refused(daemons.of("n1").ask("PATCH", topology, {"spec": {"links": []}}, MERGE), "cannot patch")
    assert refused(daemons.of("n1").ask("POST", TOPOLOGIES, document), "cannot create")
    assert refused(daemons.of("n1").ask("DELETE", topology), "cannot delete")


def test_a_role_that_was_widened_by_mistake_still_lets_no_daemon_beyond_its_node(
    daemons: Daemons, topology: str
) -> None:
    daemons.server.apply(record("n2"))
    daemons.server.kubectl("create", "clusterrolebinding", "too-much", "--clusterrole=cluster-admin",
                   "--serviceaccount=meshnet:meshnet")  # fmt: skip
    try:
        assert refused(
            daemons.of("n1").ask("PATCH", topology, {"spec": {"links": []}}, MERGE), "status of a Topology alone"
        )
        assert refused(daemons.of("n1").ask("DELETE", topology), "status of a Topology alone")
        assert refused(daemons.of("n1").ask("DELETE", f"{RECORDS}/n2"), "not of n2")
    finally:
        daemons.server.kubectl("delete", "clusterrolebinding", "too-much")


def test_people_are_not_concerned(daemons: Daemons, topology: str) -> None:
    name = topology.rpartition("/")[2]
    patch = json.dumps({"spec": {"links": [{**LINK, "down": True}]}})

    daemons.server.kubectl("patch", "topology", name, "-n", NAMESPACE, "--type=merge", "-p", patch)
    daemons.server.kubectl("patch", "topology", name, "-n", NAMESPACE, "--type=merge", "--subresource=status",
                   "-p", json.dumps({"status": {"node": "n7"}}))  # fmt: skip
    daemons.server.apply(record("n3"))
    daemons.server.kubectl("delete", "meshnode", "n3")
