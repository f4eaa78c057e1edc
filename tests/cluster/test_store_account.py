"""A daemon's store as its service account: with the role of the manifests and no more, while tokens come and go."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshnet.errors import StoreUnavailable
from meshnet.model.documents import read_documents
from meshnet.model.resource import Kind
from meshnet.stores.base import Event
from meshnet.stores.kubernetes.access import Access
from meshnet.stores.kubernetes.store import KubernetesStore
from meshnet.testing.stores.handles import node, topology
from tests.cluster.store_server import unhurried, wipe

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tests.cluster.machine.api_server import ApiServer

pytestmark = pytest.mark.cluster

RBAC = Path(__file__).parents[2] / "manifests/base/rbac.yaml"
NAMESPACE = "meshnet"


@pytest.fixture(scope="module")
def server(store_server: ApiServer) -> ApiServer:
    """The server with the account that the manifests make; not with the policy, which is another matter."""
    store_server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    store_server.apply(*(dict(document.document) for document in read_documents(RBAC.read_text(), str(RBAC))))
    return store_server


@pytest.fixture
def account(server: ApiServer, tmp_path: Path) -> Path:
    """A pod's directory with its service account."""
    wipe(server)
    (tmp_path / "ca.crt").write_text(server.ca.read_text())
    (tmp_path / "token").write_text(server.token(NAMESPACE, "meshnet"))
    return tmp_path


def in_pod(server: ApiServer, account: Path) -> KubernetesStore:
    """The store of a daemon in a pod with that account."""
    host, _, port = server.url.removeprefix("https://").partition(":")
    environ = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
    return KubernetesStore(Access(environ=environ, account=account))


def run(test: Callable[[], Coroutine[None, None, Any]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(100):
            await test()

    asyncio.run(bounded())


def test_its_role_is_enough_for_all_that_a_daemon_does(server: ApiServer, account: Path) -> None:
    async def test() -> None:
        user, daemon = unhurried(server), in_pod(server, account)
        made = await user.apply(topology())
        listing = await daemon.list(Kind.TOPOLOGY)
        watch = daemon.watch(Kind.TOPOLOGY, listing.revision)
        where = (Kind.TOPOLOGY, "default", "r1")
        await daemon.patch_status(*where, {"node": "n1"}, resource_version=made.resource_version)
        event = await asyncio.wait_for(anext(watch), 10)
        await watch.aclose()
        assert event.resource is not None
        assert event.resource.status == {"node": "n1"}
        assert (await daemon.get(*where)).status == {"node": "n1"}
        for address in ("192.0.2.1", "192.0.2.2"):
            record = await daemon.apply(node() | {"spec": {"address": address}})
            assert record.spec == {"address": address}
        for _ in range(2):
            await daemon.record(Event("Topology default/r1", "Warning", "Odd", "odd", "meshnetd n1"))
        assert [event.count for event in await user.events()] == [2]
        await daemon.close()
        await user.close()

    run(test)


def test_and_for_nothing_else(server: ApiServer, account: Path) -> None:
    async def test() -> None:
        user, daemon = unhurried(server), in_pod(server, account)
        await user.apply(topology())
        where = (Kind.TOPOLOGY, "default", "r1")
        for ask, rule in (
            (daemon.patch(*where, {"spec": None}), "patch topologies"),
            (daemon.delete(*where), "delete topologies"),
            (daemon.apply(topology("r2")), "create topologies"),
            (daemon.delete(Kind.NODE, "", "n1"), "delete meshnodes"),
            (daemon.events(), "list events"),
        ):
            with pytest.raises(StoreUnavailable, match=f"this account may not {rule}: an RBAC rule"):
                await ask
        await daemon.close()
        await user.close()

    run(test)


def test_a_token_that_is_replaced_is_used_from_then_on(server: ApiServer, account: Path) -> None:
    """Tokens are of pods here: one whose pod is gone is not valid any more, as one that has expired."""

    async def test() -> None:
        daemon = in_pod(server, account)
        (account / "token").write_text(_token_of_pod(server, "first"))
        await daemon.list(Kind.NODE)
        new = _token_of_pod(server, "second")
        server.kubectl("delete", "pod", "first", "-n", NAMESPACE, "--force", "--grace-period=0")
        await _refused(daemon)
        (account / "token").write_text(new)
        await daemon.list(Kind.NODE)
        await daemon.close()

    run(test)


async def _refused(daemon: KubernetesStore) -> None:
    """Wait until the server, which remembers a token for some seconds, has forgotten it."""
    told = ""
    async with asyncio.timeout(60):
        while not told:
            try:
                await daemon.list(Kind.NODE)
                await asyncio.sleep(0.5)
            except StoreUnavailable as error:
                told = str(error)
    assert "401" in told
    assert "the token or certificate is not valid" in told


def _token_of_pod(server: ApiServer, name: str) -> str:
    spec = {"serviceAccountName": "meshnet", "containers": [{"name": "main", "image": "none"}]}
    server.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec})
    return server.token(NAMESPACE, "meshnet", "--bound-object-kind=Pod", f"--bound-object-name={name}")


def test_kubectl_shows_an_event_with_its_object(server: ApiServer, account: Path) -> None:
    async def test() -> None:
        user, daemon = unhurried(server), in_pod(server, account)
        made = await user.apply(topology())
        for _ in range(3):
            await daemon.record(Event("Topology default/r1", "Warning", "DriverMissing", "no wire here", "meshnetd n1"))
        await daemon.record(Event("MeshNode n1", "Normal", "Fine", "fine", "meshnetd n1"))
        for store in (daemon, user):
            await store.close()
        events = json.loads(server.kubectl("get", "events", "-o", "json"))["items"]
        (found,) = [event for event in events if event["reason"] == "DriverMissing"]
        assert found["involvedObject"] == {
            "apiVersion": "networkop.co.uk/v1beta1",
            "kind": "Topology",
            "namespace": "default",
            "name": "r1",
            "uid": made.uid,
        }
        assert (found["count"], found["reportingComponent"], found["reportingInstance"]) == (3, "meshnetd", "n1")
        described = server.kubectl("describe", "topologies.networkop.co.uk", "r1")
        assert "(x3 over" in described
        assert "DriverMissing" in described
        assert "no wire here" in described

    run(test)
