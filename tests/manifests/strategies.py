"""Topologies on both sides of every rule: what is right, and what is nearly so."""

import string

from hypothesis import strategies as st

from tests.model.strategies import CIDRS, DRIVERS, INTERFACES, MACS, POD_NAMES, UIDS

NAME = "r1"
"""Of every Topology here."""

SPECIAL = """
0.0.0.0 127.0.0.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 255.255.255.254 169.254.0.1 0.0.0.1
:: ::1 ::2 fe80::1 fec0::1 ff02::1 ff00:: feff:: ffff:: 1::ffff ::ffff:1 64:ff9b::1.2.3.4 fe80::1%eth0
::ffff:10.0.0.1 ::ffff:0.0.0.0 ::ffff:224.0.0.1 0:0:0:0:0:FFFF:a00:1 ::10.0.0.1 ::0.0.0.1
1:2:3:4:5:6:7:: ::2:3:4:5:6:7:8 1:2:3:4:5:6:7:8 1:2:3:4:5:6:7:8:9
"""
"""Addresses that are something special, or look it."""

FEW_TEXTS = st.sampled_from(["", " ", "a", "A", "é", "\ud800", "\0", "localhost", NAME, "x" * 400, "1", "true", "null"])


def json_values(max_leaves=4):
    """Values of every JSON type; numbers as another language writes them, too."""
    numbers = st.integers(-(2**70), 2**70) | st.sampled_from([0.0, -0.0, 1.0, 1400.0, 1.5, -1.0, 2.0**53, 1e300])
    leaves = st.none() | st.booleans() | numbers | FEW_TEXTS | st.text(max_size=5)
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
        max_leaves=max_leaves,
    )


def spoilt(texts, alphabet=string.printable):
    """Texts with one character put in, taken out or replaced."""

    def spoil(text, where, how, char):
        where %= len(text) + 1
        return text[:where] + (char if how else "") + text[where + how - 1 if how else where + 1 :]

    return st.builds(spoil, texts, st.integers(0, 60), st.sampled_from([0, 1, 2]), st.sampled_from(alphabet))


def groups(separator, pieces, least, most):
    return st.lists(pieces, min_size=least, max_size=most).map(separator.join)


def addresses():
    """Addresses in every form, most of them with a prefix length."""
    octets = st.integers(0, 256).map(str) | st.sampled_from(["00", "01", "", "0x1", "1e1"])
    v4 = groups(".", octets, 3, 5) | st.builds("{}.{}.{}.{}".format, *[st.integers(0, 255)] * 4)
    quads = st.sampled_from(["0", "1", "ffff", "FFFF", "ff02", "fe80", "", "12345", "g", "0ffff"])
    v6 = groups(":", quads, 2, 9) | st.builds("{}:{}".format, groups(":", quads, 1, 7), v4)
    special = st.sampled_from(SPECIAL.split())
    lengths = st.integers(-1, 130).map(str) | st.sampled_from(["", "024", "+8", " 8", "8 ", "²", "255.0.0.0"])
    return st.builds("{}{}{}".format, v4 | v6 | special, st.sampled_from(["/", "/", "/", "", "//", "%"]), lengths)


def macs():
    hexes = st.sampled_from(["00", "01", "02", "aA", "Ff", "0", "000", "g0", ""])
    return groups(":", hexes, 5, 7) | groups("-", hexes, 6, 6) | st.just("00:00:00:00:00:00")


def right_fields():
    return {
        "uid": UIDS,
        "peer_pod": POD_NAMES | st.just("localhost"),
        "local_intf": INTERFACES,
        "peer_intf": INTERFACES,
        "local_ip": CIDRS | st.just(""),
        "local_ips": st.lists(CIDRS, max_size=3),
        "peer_ip": CIDRS | st.none(),
        "local_mac": MACS,
        "driver": DRIVERS,
        "mtu": st.integers(1280, 65535) | st.just(1400.0),
        "options": st.dictionaries(st.text(max_size=3), json_values(3), max_size=2),
        "down": st.booleans(),
    }


def nearly_fields():
    none = ["lo", "all", "default", ".", "..", "a/b", "a:b", "e%d", "x" * 16]
    interfaces = INTERFACES | st.sampled_from(["eth0", "eth1", "eth2", *none])
    nearly_addresses = addresses() | spoilt(CIDRS, "0/.:fF% ")
    return {
        "uid": st.integers(-1, 2),
        "peer_pod": st.sampled_from([NAME, "x" * 253, "x" * 254]) | spoilt(POD_NAMES),
        "local_intf": interfaces | spoilt(INTERFACES),
        "peer_intf": interfaces | spoilt(INTERFACES),
        "local_ip": nearly_addresses,
        "local_ips": st.lists(nearly_addresses, max_size=2) | st.lists(CIDRS | json_values(1), max_size=18),
        "peer_ip": nearly_addresses,
        "local_mac": macs() | spoilt(MACS, "0123456789abcdefgG:- "),
        "driver": spoilt(DRIVERS) | st.sampled_from(["x" * 63, "x" * 64]),
        "mtu": st.integers(66, 70) | st.integers(1278, 1282) | st.integers(65534, 65537) | st.just(1000.0),
        "options": json_values(1),
        "down": json_values(1),
    }


@st.composite
def links(draw):
    """Entries of `spec.links`: right, or wrong in one or two fields."""
    right, nearly = right_fields(), nearly_fields()
    optional = draw(st.lists(st.sampled_from([*right][4:]), max_size=8, unique=True))
    entry = {name: draw(right[name]) for name in [*[*right][:4], *optional]}
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 2, 3]))):
        name = draw(st.sampled_from([*right, "future"]))
        how = draw(st.sampled_from(["nearly", "nearly", "nearly", "anything", "absent"]))
        if how == "absent":
            entry.pop(name, None)
        else:
            entry[name] = draw(nearly.get(name, json_values()) if how == "nearly" else json_values(2))
    return entry


def documents():
    """Topologies named `NAME`, in every form that `spec` can have; most of them with links."""
    several = st.lists(links(), min_size=1, max_size=3)
    rare = st.just([]) | st.lists(links() | json_values(2), max_size=2) | json_values(2)
    spec = st.fixed_dictionaries({"links": st.one_of(*[several] * 16, rare)}, optional={"future": json_values(3)})
    return st.fixed_dictionaries(
        {
            "apiVersion": st.just("networkop.co.uk/v1beta1"),
            "kind": st.just("Topology"),
            "metadata": st.just({"name": NAME}),
            "spec": st.one_of(*[spec] * 20, st.just({}), json_values(2)),
        },
        optional={"future": json_values(3)},
    )
