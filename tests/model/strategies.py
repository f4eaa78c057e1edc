"""Topologies as they should be, and documents that are nearly some."""

import re
import string

from hypothesis import strategies as st

from meshnet.model.entry import LINK_FIELDS
from meshnet.model.topology import MAX_EPOCH, Claim, Link, Topology

LABELS = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
POD_NAMES = st.lists(LABELS, min_size=1, max_size=3).map(".".join).filter(lambda name: name != "localhost")
INTERFACE_CHARACTERS = "".join(c for c in string.digits + string.ascii_letters + string.punctuation if c not in "/:%")
INTERFACES = st.text(INTERFACE_CHARACTERS, min_size=1, max_size=15).filter(
    lambda name: name not in {".", "..", "lo", "all", "default", "eth0"}
)
UIDS = st.integers(0, 2**63 - 1)
V4 = st.builds("10.{}.{}.{}/{}".format, *[st.integers(0, 255)] * 3, st.integers(0, 32))
V6 = st.builds("2001:db8::{:x}:1/{}".format, st.integers(1, 0xFFFF), st.integers(0, 128))
CIDRS = V4 | V6
MACS = st.binary(min_size=5, max_size=5).map(lambda tail: (b"\x02" + tail).hex(":"))
DRIVERS = st.from_regex(r"[A-Za-z0-9]{1,8}(-[a-z0-9])?", fullmatch=True)


def json_values(max_leaves=20):
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    return st.recursive(
        leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=max_leaves
    )


@st.composite
def links(draw, local_intf):
    return Link(
        uid=draw(UIDS),
        peer_pod=draw(POD_NAMES),
        local_intf=local_intf,
        peer_intf=draw(INTERFACES.filter(lambda name: name != local_intf)),
        addresses=tuple(draw(st.lists(CIDRS, max_size=3, unique=True))),
        peer_ip=draw(st.none() | CIDRS),
        local_mac=draw(st.none() | MACS),
        driver=draw(st.none() | DRIVERS),
        mtu=draw(st.none() | st.integers(1280, 65535)),
        options=draw(st.dictionaries(st.text(), json_scalars(), max_size=3)),
        down=draw(st.booleans()),
    )


def json_scalars():
    return st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


@st.composite
def topologies(draw):
    interfaces = draw(st.lists(INTERFACES, unique=True, max_size=4))
    return Topology(
        namespace=draw(LABELS),
        name=draw(POD_NAMES),
        links=tuple(draw(links(interface)) for interface in interfaces),
        claim=draw(st.builds(Claim, st.text(), st.text(), st.integers(0, MAX_EPOCH), st.text())),
        uid=draw(st.text()),
    )


def nearly_links():
    right = {
        "uid": UIDS,
        "peer_pod": POD_NAMES | st.sampled_from(["localhost", "r1"]),
        "local_intf": st.sampled_from(["eth0", "eth1", "eth2", "lo", "all"]),
        "peer_intf": st.sampled_from(["eth0", "eth1", "eth2", "lo", "default"]),
        "local_ip": CIDRS,
        "local_ips": st.lists(CIDRS | json_values(3)),
        "peer_ip": CIDRS,
        "local_mac": MACS,
        "driver": DRIVERS,
        "mtu": st.integers(0, 70000),
        "options": st.dictionaries(st.text(), json_values(3)),
        "down": st.booleans(),
    }
    assert set(right) == set(LINK_FIELDS)
    return st.fixed_dictionaries(
        {}, optional={name: st.one_of(rule, rule, rule, json_values(3)) for name, rule in right.items()}
    )


def nearly_topologies():
    some = st.one_of
    return st.fixed_dictionaries(
        {},
        optional={
            "apiVersion": some(st.just("networkop.co.uk/v1beta1"), json_values(2)),
            "kind": some(st.just("Topology"), json_values(2)),
            "metadata": some(
                st.fixed_dictionaries(
                    {"name": some(POD_NAMES, st.just("r1"), st.text())}, optional={"namespace": LABELS}
                ),
                json_values(4),
            ),
            "spec": some(
                st.fixed_dictionaries({"links": st.lists(some(nearly_links(), nearly_links(), json_values(3)))}),
                json_values(4),
            ),
            "status": json_values(6),
        },
    )


def follow(document, path):
    """Return what a path leads to; only its last step may be missing. Fails where it leads nowhere."""
    steps = re.findall(r"([^.\[\]]+)|\[(\d+)\]", path)
    for number, (key, index) in enumerate(steps, 1):
        if index:
            document = document[int(index)]
        elif key in document:
            document = document[key]
        else:
            assert number == len(steps), path
            return None
    return document
