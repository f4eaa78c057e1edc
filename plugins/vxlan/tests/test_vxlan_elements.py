"""Elements of sets on the real kernel: both or none, and refusals told."""

import contextlib

import pytest
from meshnet_vxlan.elements import Elements
from meshnet_vxlan.nftables import Nft, NftError

pytestmark = pytest.mark.kernel

TABLE = "table inet ours { set a { type ether_type; }; set b { typeof ip saddr . ether type; }; }"


@pytest.fixture
def sets(net):
    """nf_tables of a node with two sets, and what changes them."""
    with net.nodes[0].entered():
        try:
            nft, elements = Nft(), Elements("ours")
        except NftError as error:
            pytest.skip(f"nf_tables: {error}")
    with contextlib.closing(nft), contextlib.closing(elements):
        nft.run(TABLE)
        yield nft, elements


def listed(nft, name):
    found = nft.run(f"list set inet ours {name}")
    return found.partition("elements = {")[2].partition("}")[0].split()


def test_keys_come_and_go(sets):
    nft, elements = sets
    pair = bytes([192, 0, 2, 1]) + b"\x08\x06\0\0"

    elements.add({"a": [b"\x08\x00", b"\x08\x06"], "b": [pair]})
    elements.add({"a": [b"\x08\x06"], "b": []})

    assert (listed(nft, "a"), listed(nft, "b")) == (["ip,", "arp"], ["192.0.2.1", ".", "arp"])
    elements.delete({"a": [b"\x08\x00"], "b": [pair]})
    assert (listed(nft, "a"), listed(nft, "b")) == (["arp"], [])


def test_all_of_a_change_or_nothing(sets):
    nft, elements = sets
    elements.add({"a": [b"\x08\x00"]})

    for _ in range(2):
        with pytest.raises(NftError, match=r"^table inet ours: No such file or directory$"):
            elements.delete({"a": [b"\x08\x00", b"\x08\x06"]})
    with pytest.raises(NftError, match="No such file or directory"):
        elements.add({"a": [b"\x08\x06"], "absent": [b"\x08\x06"]})

    assert listed(nft, "a") == ["ip"]
    elements.add({"a": [b"\x08\x06"]})
    assert listed(nft, "a") == ["ip,", "arp"]


def test_a_key_that_does_not_fit_is_refused(sets):
    _, elements = sets
    with pytest.raises(NftError, match="Invalid argument"):
        elements.add({"a": [b"\x08"]})


def test_a_table_is_there_or_not(sets):
    nft, elements = sets
    assert elements.exists()
    nft.run("delete table inet ours")
    assert not elements.exists()
    nft.run("add table ip ours")
    assert not elements.exists()
