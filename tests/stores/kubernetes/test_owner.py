import base64
import json

import pytest

from meshnet.stores.kubernetes.owner import node_owners


def token(payload):
    body = base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip("=")
    return f"head.{body}.signature\n"


@pytest.mark.parametrize("name", ["n1", "n12", "n123", "node-1.example"])
def test_a_token_tells_the_node_of_its_pod(name):
    """Whatever the length, which decides how much padding is missing."""
    told = token({"kubernetes.io": {"namespace": "meshnet", "node": {"name": name, "uid": "u-1"}}})

    assert node_owners(told, name) == [{"apiVersion": "v1", "kind": "Node", "name": name, "uid": "u-1"}]


@pytest.mark.parametrize(
    "told",
    [
        "",
        "x",
        "a.b.c",
        "a.é.c",
        token([]),
        token({"sub": "someone"}),
        token({"kubernetes.io": None}),
        token({"kubernetes.io": {"node": "n1"}}),
        token({"kubernetes.io": {"node": {"name": "n1"}}}),
        token({"kubernetes.io": {"node": {"name": "n2", "uid": "u-2"}}}),
    ],
)
def test_a_token_that_tells_no_node_or_another_one_gives_no_owner(told):
    assert list(node_owners(told, "n1")) == []
