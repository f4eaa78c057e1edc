from __future__ import annotations

import pytest

from meshnet.cli.links import ends
from meshnet.cli.place import find_end, parse_place
from meshnet.errors import NotFound, UsageError
from meshnet.model.resource import Kind, Resource
from meshnet.model.topology import Endpoint
from tests.cli.objects import link, topology


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("r1:eth1", Endpoint("default", "r1", "eth1")),
        ("lab/r1-0:eth1", Endpoint("lab", "r1-0", "eth1")),
        ("a.b:Ethernet1.100", Endpoint("default", "a.b", "Ethernet1.100")),
    ],
)
def test_a_place_is_read(text: str, endpoint: Endpoint) -> None:
    assert parse_place(text, "default") == endpoint


@pytest.mark.parametrize("text", ["", "r1", ":eth1", "r1:", "/r1:eth1", "a/b/r1:eth1", "r1:a/b", "ns/:eth1"])
def test_what_is_no_place_is_refused_with_what_would_be_right(text: str) -> None:
    with pytest.raises(UsageError, match="POD:INTERFACE"):
        parse_place(text, "default")


@pytest.mark.parametrize("namespace", ["..", "Lab", "lab\udcff"])
def test_a_namespace_that_can_be_none_is_refused_as_that_of_an_option(namespace: str) -> None:
    """No store is asked: in a URL ``..`` would be all of them."""
    with pytest.raises(UsageError, match="there can be no namespace"):
        parse_place(f"{namespace}/r1:eth1", "default")


def test_either_end_names_a_link_also_the_undeclared_one() -> None:
    (declared,) = ends([Resource(Kind.TOPOLOGY, topology("r1", link(1, "r2", "eth1", "eth7")))])

    assert find_end([declared], Endpoint("default", "r1", "eth1")) is declared
    assert find_end([declared], Endpoint("default", "r2", "eth7")) is declared
    with pytest.raises(NotFound, match="its links: r1:eth1"):
        find_end([declared], Endpoint("default", "r1", "eth2"))
