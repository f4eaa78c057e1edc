"""Which driver a link gets, and why."""

from __future__ import annotations

import asyncio

import pytest

from meshnet.dispatch.catalog import choose
from meshnet.driver.api import LinkDriver, Scope
from meshnet.driver.catalog import NodeCatalog
from meshnet.driver.registry import Registry
from meshnet.errors import LinkError


class Driver(LinkDriver):
    api = 1

    async def patch(self, link, peer):
        return peer.port


class Wire(Driver):
    name, aliases = "wire", ("WIRE", "cable")
    scopes = claims = Scope.SAME_NODE


class Better(Driver):
    name, rank = "better", 5
    scopes = Scope.SAME_NODE | Scope.BETWEEN_NODES
    claims = Scope.SAME_NODE


class Equal(Driver):
    name = "equal"
    scopes = claims = Scope.SAME_NODE


class Shy(Driver):
    name = "shy"
    scopes = Scope.EXTERNAL


def catalog(*drivers, **prefer):
    return NodeCatalog(Registry.of(*drivers, prefer=prefer.get("prefer")))


def refused(*args):
    with pytest.raises(LinkError) as caught:
        choose(*args)
    return caught.value.reason, str(caught.value)


@pytest.mark.parametrize("name", ["wire", "Wire", "WIRE", "cable"])
def test_a_named_driver_is_taken_by_any_of_its_names(name):
    driver, why = choose(catalog(Wire, Better), Scope.SAME_NODE, name)
    assert driver.name == "wire"
    assert "names wire" in why


def test_the_highest_rank_is_taken_where_none_is_named():
    driver, why = choose(catalog(Wire, Better), Scope.SAME_NODE, None)
    assert driver.name == "better"
    assert why == "both pods are on this node, and better claims such links"


def test_configuration_decides_before_rank_and_between_equals():
    assert choose(catalog(Wire, Better, prefer={Scope.SAME_NODE: "wire"}), Scope.SAME_NODE, None)[0].name == "wire"
    assert choose(catalog(Wire, Equal, prefer={Scope.SAME_NODE: "equal"}), Scope.SAME_NODE, None)[0].name == "equal"


def test_a_driver_that_configuration_chose_is_not_said_to_claim_the_link():
    chosen = catalog(Wire, Shy, prefer={Scope.SAME_NODE: "wire", Scope.EXTERNAL: "shy"})

    assert choose(chosen, Scope.SAME_NODE, None)[1] == (
        "both pods are on this node, and MESHNET_PREFER_SAME_NODE chooses wire for such links"
    )
    assert choose(chosen, Scope.EXTERNAL, None)[1] == (
        "the peer is an interface of the node, and MESHNET_PREFER_EXTERNAL chooses shy for such links"
    )


def test_equals_without_configuration_are_an_error_that_names_both():
    reason, message = refused(catalog(Wire, Equal), Scope.SAME_NODE, None)
    assert reason == "DriverAmbiguous"
    assert "wire" in message
    assert "equal" in message
    assert "MESHNET_PREFER_SAME_NODE" in message


def test_a_named_driver_that_does_not_work_here_is_not_said_to_be_missing():
    class Stuck(Wire):
        async def start(self, ctx):
            raise LinkError("No", "no such device")

    registry = Registry.of(Stuck)
    asyncio.run(registry.start_all(lambda name: None))

    reason, message = refused(NodeCatalog(registry), Scope.SAME_NODE, "cable")
    assert reason == "DriverUnusable"
    assert "no such device" in message


@pytest.mark.parametrize(
    ("drivers", "scope", "wanted", "reason", "words"),
    [
        ((), Scope.SAME_NODE, None, "DriverMissing", "both pods are on this node"),
        ((Wire,), Scope.BETWEEN_NODES, None, "DriverMissing", "the pods are on two nodes"),
        ((Wire, Better), Scope.BETWEEN_NODES, None, "DriverMissing", "the pods are on two nodes"),
        ((Wire, Shy), Scope.EXTERNAL, None, "DriverMissing", "an interface of the node"),
        ((Wire,), Scope.SAME_NODE, "vxlan", "DriverMissing", "installed: wire"),
        ((), Scope.SAME_NODE, "vxlan", "DriverMissing", "installed: none"),
        ((Wire,), Scope.BETWEEN_NODES, "wire", "DriverUnsuitable", "the pods are on two nodes"),
        ((Wire,), Scope.EXTERNAL, "cable", "DriverUnsuitable", "driver 'wire' cannot make this link"),
    ],
)
def test_why_there_is_none(drivers, scope, wanted, reason, words):
    found, message = refused(catalog(*drivers), scope, wanted)
    assert found == reason
    assert words in message
