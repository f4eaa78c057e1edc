"""Objects that the API server keeps, and that Python cannot read, end no daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshnet.model.resource import API_VERSION
from tests.cluster.scenarios import daemons
from tests.cluster.scenarios.space import APART, CABLE

if TYPE_CHECKING:
    from tests.cluster.scenarios.space import Space

DEEP = '{"a":' * 1500 + "1" + "}" * 1500
LINK = '{"uid": 1, "peer_pod": "x", "local_intf": "eth1", "peer_intf": "eth1", "options": {"a": %s}}'


@pytest.mark.parametrize(
    "spec", [f'{{"links": [], "x": {DEEP}}}', f'{{"links": [{LINK % DEEP}]}}'], ids=["x", "options"]
)
def test_a_topology_that_is_nested_without_reason_harms_nobody(space: Space, spec: str) -> None:
    head = f'"apiVersion": "{API_VERSION}", "kind": "Topology", "metadata": {{"name": "deep"}}'
    path = f"/apis/{API_VERSION}/namespaces/{space.name}/topologies"
    before = daemons.process_of(space.cluster.nodes["n2"])

    space.cluster.kubectl("create", "--raw", path, "-f", "-", stdin=f'{{{head}, "spec": {spec}}}')
    daemons.kill(space.cluster.nodes["n1"])  # it has to list it
    space.wire(CABLE, places=APART)
    space.wait_linked()

    assert daemons.process_of(space.cluster.nodes["n2"]) == before
    space.delete("topology/deep")
