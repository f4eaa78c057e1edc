"""What a daemon does in a cluster besides: its record is its Node's, pods hear of their links, old schemas are told."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from meshnet.errors import InvalidObject, NotFound, StoreUnavailable
from meshnet.model.resource import Kind
from meshnet.stores.kubernetes.access import Access
from meshnet.stores.kubernetes.store import KubernetesStore
from tests.cluster.accounts import Daemons, record
from tests.cluster.resources import BASE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path


pytestmark = pytest.mark.cluster

CRD = "crd/topologies.networkop.co.uk"
GATE = {"type": "networkop.co.uk/links", "status": "True", "reason": "LinksReady", "message": "2 links ready"}


def as_daemon(daemons: Daemons, node: str, tmp_path: Path, work: Callable[[KubernetesStore], Awaitable[Any]]) -> Any:
    """Let the daemon of a node do something, in a pod as it finds it."""
    account = tmp_path / "account"
    account.mkdir()
    token = daemons.server.token("meshnet", "meshnet", "--bound-object-kind=Pod", f"--bound-object-name=meshnet-{node}")
    (account / "token").write_text(token)
    (account / "ca.crt").write_bytes(daemons.server.ca.read_bytes())
    host, port = daemons.server.url.removeprefix("https://").split(":")
    environ = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}

    async def main() -> Any:
        store = KubernetesStore(Access(environ=environ, account=account))
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(main())


def test_a_record_with_the_owner_that_the_token_tells_is_let_in(daemons: Daemons, tmp_path: Path) -> None:
    daemons.server.kubectl("delete", "meshnodes", "--all")

    async def work(store: KubernetesStore) -> None:
        assert list(store.node_owners("n2")) == []
        document = record("n1")
        document["metadata"]["ownerReferences"] = list(store.node_owners("n1"))
        await store.apply(document)
        await store.apply({**document, "spec": {"addresses": ["192.0.2.7"]}})
        with pytest.raises(StoreUnavailable, match=r"not of n2|node n1"):
            await store.apply(record("n2"))

    as_daemon(daemons, "n1", tmp_path, work)
    (owner,) = daemons.server.get("meshnode", "n1")["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Node", "n1", daemons.uid("n1"))


def test_a_pod_hears_that_its_links_are_ready(daemons: Daemons, tmp_path: Path) -> None:
    pod = daemons.server.get("pod", "meshnet-n1", "-n", "meshnet")["metadata"]["uid"]

    async def work(store: KubernetesStore) -> None:
        await store.set_pod_condition("meshnet", "meshnet-n1", pod, {**GATE, "status": "False"})
        await store.set_pod_condition("meshnet", "meshnet-n1", pod, GATE)
        with pytest.raises(InvalidObject, match="uid"):
            await store.set_pod_condition("meshnet", "meshnet-n1", "another", GATE)
        with pytest.raises(NotFound):
            await store.set_pod_condition("meshnet", "nobody", pod, GATE)

    as_daemon(daemons, "n1", tmp_path, work)
    conditions = daemons.server.get("pod", "meshnet-n1", "-n", "meshnet")["status"]["conditions"]
    assert [each["status"] for each in conditions if each["type"] == GATE["type"]] == ["True"]


def test_a_pod_that_hears_again_what_it_knows_is_not_written(daemons: Daemons, tmp_path: Path) -> None:
    """As from a daemon that was started since, and does not know since when it is so."""
    uid = daemons.server.get("pod", "meshnet-n1", "-n", "meshnet")["metadata"]["uid"]
    lost = {**GATE, "status": "False"}
    seen = []

    async def work(store: KubernetesStore) -> None:
        for condition in ({**GATE, "lastTransitionTime": "2026-01-02T03:04:05Z"}, lost, lost):
            await store.set_pod_condition("meshnet", "meshnet-n1", uid, condition)
            pod = daemons.server.get("pod", "meshnet-n1", "-n", "meshnet")
            (row,) = [row for row in pod["status"]["conditions"] if row["type"] == GATE["type"]]
            seen.append((pod["metadata"]["resourceVersion"], row["status"], row["lastTransitionTime"]))
            await asyncio.sleep(1.1)  # it counts whole seconds

    as_daemon(daemons, "n1", tmp_path, work)
    assert [status for _, status, _ in seen] == ["True", "False", "False"]
    assert seen[0][2] == "2026-01-02T03:04:05Z" < seen[1][2]
    assert seen[2] == seen[1]


@pytest.fixture
def old_schema(daemons: Daemons) -> Iterator[None]:
    """The mark of a schema that is older than any of ours: none."""
    daemons.server.kubectl("annotate", CRD, "networkop.co.uk/schema-")
    yield
    daemons.server.kubectl("apply", "-f", str(BASE / "crd.yaml"))
    mark = yaml.safe_load((BASE / "crd.yaml").read_text())["metadata"]["annotations"]["networkop.co.uk/schema"]
    daemons.server.kubectl("annotate", "--overwrite", CRD, f"networkop.co.uk/schema={mark}")


def test_a_daemon_may_ask_how_old_the_schemas_are(daemons: Daemons, tmp_path: Path) -> None:
    assert as_daemon(daemons, "n1", tmp_path, lambda store: store.schema_complaints()) == []


@pytest.mark.usefixtures("old_schema")
def test_an_older_schema_is_told_to_the_daemon_and_by_doctor(daemons: Daemons, tmp_path: Path) -> None:
    (told,) = as_daemon(daemons, "n1", tmp_path, lambda store: store.schema_complaints())
    assert "topologies.networkop.co.uk: annotation networkop.co.uk/schema has no number" in told

    assert [(one["outcome"], one["told"]) for one in doctor(daemons) if one["about"] == "schema"] == [("fail", told)]


def doctor(daemons: Daemons) -> list[dict[str, str]]:
    """What `meshnet doctor` finds, where the cluster is the store and no daemon runs."""
    store = f"kubernetes:?kubeconfig={daemons.server.kubeconfig}"
    environ = {**os.environ, "MESHNET_STORE": store, "MESHNET_SOCKET": "/nowhere.sock"}
    command = [sys.executable, "-m", "meshnet", "doctor", "-o", "json"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1, done.stderr  # no daemon
    return [one for one in json.loads(done.stdout) if one["area"] == "node"]


def test_doctor_says_nothing_of_schemas_that_are_well(daemons: Daemons) -> None:
    assert {one["about"]: one["outcome"] for one in doctor(daemons)} == {
        "target": "ok",
        "daemon": "fail",
        "store": "ok",
    }


def test_kinds_are_known_to_the_server_by_the_names_that_the_store_uses(daemons: Daemons) -> None:
    found = json.loads(daemons.server.kubectl("get", "--raw=/apis/networkop.co.uk/v1beta1"))["resources"]

    assert {each["kind"] for each in found} >= {kind.value for kind in Kind}
