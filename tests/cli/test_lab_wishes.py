"""What `lab up` is asked for pod by pod and node by node."""

from __future__ import annotations

import re
import socket

import pytest

from meshnet.cli.lab import wishes
from meshnet.errors import UsageError

NODES = ("n1", "n2")


def test_settings_of_all_nodes_and_of_one() -> None:
    words = ["MESHNET_PORT=5000", "n2:MESHNET_PORT=6000", "n1:HOST_IP=fd00::1", "MESHNET_LOG_LEVEL="]
    assert wishes.settings(words, NODES, {"MESHNET_PREFER_EXTERNAL": "wire"}) == {
        "n1": {
            "MESHNET_PREFER_EXTERNAL": "wire",
            "MESHNET_PORT": "5000",
            "HOST_IP": "fd00::1",
            "MESHNET_LOG_LEVEL": "",
        },
        "n2": {"MESHNET_PREFER_EXTERNAL": "wire", "MESHNET_PORT": "6000", "MESHNET_LOG_LEVEL": ""},
    }


def test_upstreams_name_for_the_interface_is_one() -> None:
    assert wishes.settings(["n1:HOST_INTF=eth0"], ["n1"]) == {"n1": {"HOST_INTF": "eth0"}}


def test_a_machine_whose_name_no_node_may_have_still_takes_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "my_machine")

    assert wishes.settings(["MESHNET_PORT=5000"], ["n1"]) == {"n1": {"MESHNET_PORT": "5000"}}


def test_a_value_may_contain_what_separates() -> None:
    (found,) = wishes.settings(["n1:MESHNET_WIRE_PATH=a:b=c"], ["n1"]).values()
    assert found == {"MESHNET_WIRE_PATH": "a:b=c"}


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("MESHNET_PORT", "NAME=VALUE or NODE:NAME=VALUE"),
        (":MESHNET_PORT=1", "NAME=VALUE or NODE:NAME=VALUE"),
        ("MESHNT_PORT=1", "'MESHNT_PORT': must be a setting of the daemon"),
        ("NODE_NAME=x", "'NODE_NAME': must be a setting of the daemon"),
        ("MESHNET_STORE=memory:", "MESHNET_STORE is the lab's own affair"),
        ("n3:MESHNET_PORT=1", "no node 'n3' (nodes: n1, n2)"),
        ("MESHNET_PORT=70000", "the daemon of node n1 would not start: settings: MESHNET_PORT: '70000'"),
        ("n2:HOST_IP=nowhere", "the daemon of node n2 would not start: settings: HOST_IP: 'nowhere'"),
    ],
)
def test_wrong_settings(word: str, told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        wishes.settings([word], NODES)


def test_uplinks_are_named_by_node() -> None:
    assert wishes.uplinks(["n1=ens3", "n2=bond0.7"], NODES) == {"n1": "ens3", "n2": "bond0.7"}


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("n1", "must be NODE=NAME"),
        ("n1=", "must be NODE=NAME"),
        ("n7=ens3", "no node 'n7' (nodes: n1, n2)"),
        ("n1=lo", "must not be the loopback interface"),
        ("n1=a/b", "must be an interface name"),
        ("n1=sixteen-letters-", "must be an interface name"),
        ("n1=cni0", "'cni0' is taken"),
        ("n1=all", "'all': must not be"),
    ],
)
def test_wrong_uplinks(word: str, told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        wishes.uplinks([word], NODES)


def test_places_are_named_by_pod() -> None:
    assert wishes.places(["r1=n1", "x/r2=n2"]) == {"r1": "n1", "x/r2": "n2"}
    with pytest.raises(UsageError, match="POD=NODE"):
        wishes.places(["r1"])
