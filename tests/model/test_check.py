import json
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshnet.model.check import check
from meshnet.model.documents import read_documents
from meshnet.model.finding import Severity
from tests.model import strategies
from tests.model.checking import check_texts


def topology(name, *links, namespace="", extra=""):
    where = f", namespace: {namespace}" if namespace else ""
    entries = "".join(f"\n  - {{{link}}}" for link in links) or " []"
    return (
        f"apiVersion: networkop.co.uk/v1beta1\nkind: Topology\nmetadata: {{name: {name}{where}}}\n"
        f"spec:\n  links:{entries}\n{extra}"
    )


def findings(*texts, **kwargs):
    documents = [doc for text in texts for doc in read_documents("---\n".join(text), f"{texts.index(text)}.yml")]
    return [str(finding) for finding in check(documents, **kwargs)]


A = "uid: 1, peer_pod: r2, local_intf: eth1, peer_intf: eth2"
B = "uid: 1, peer_pod: r1, local_intf: eth2, peer_intf: eth1"


def test_two_ends_that_agree_give_no_finding():
    assert findings((topology("r1", f"{A}, local_ip: 10.0.0.1/24, peer_ip: 10.0.0.2/24"), topology("r2", B))) == []


def test_what_is_allowed_gives_no_finding():
    """A uid for another pair, parallel links, a link of a pod with itself, external links, other kinds."""
    loop = ("uid: 5, peer_pod: r3, local_intf: a, peer_intf: b", "uid: 5, peer_pod: r3, local_intf: b, peer_intf: a")
    nodes = [f"uid: {n}, peer_pod: localhost, local_intf: m{n}, peer_intf: eth0" for n in (1, 2)]
    parallel = "uid: 1, peer_pod: {}, local_intf: eth9, peer_intf: eth9"
    texts = (
        topology("r1", A, parallel.format("r2")),
        topology("r2", B, parallel.format("r1"), *nodes),
        topology("r3", *loop),
        topology("empty"),
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: r1}\ndata: {a: b}\n",
        "apiVersion: topo.example.org/v1\nkind: Topology\nmetadata: {name: r1}\nspec: 3\n",
        "apiVersion: networkop.co.uk/v1beta1\nkind: GWireKObj\nmetadata: {name: n1}\n",
    )

    assert findings(texts) == []


def test_every_problem_of_a_topology_with_its_line():
    text = """\
    apiVersion: networkop.co.uk/v1beta1
    kind: Topology
    metadata:
      name: r1
    spec:
      links:
      - uid: "1"
        peer_pod: r2
        local_intf: eth0
      - uid: 2
        peer_pod: r2
        local_intf: eth1
        peer_intf: eth1
        loacl_ip: 10.0.0.1/24
        local_ips:
        - 10.0.0.1/24
        - fe80::1
    """

    assert findings((textwrap.dedent(text),)) == [
        (
            "0.yml:7: error: Topology default/r1: spec.links[0].uid: '1': must be a whole number from 0 to"
            " 9223372036854775807"
        ),
        "0.yml:7: error: Topology default/r1: spec.links[0].peer_intf: is required",
        (
            "0.yml:9: error: Topology default/r1: spec.links[0].local_intf: 'eth0': must not be the pod's primary"
            " interface eth0, which the cluster's own network makes"
        ),
        (
            "0.yml:14: warning: Topology default/r1: spec.links[1].loacl_ip: is no field of a Topology and means"
            " nothing; is local_ip meant?"
        ),
        (
            "0.yml:17: error: Topology default/r1: spec.links[1].local_ips[1]: 'fe80::1': must be one address with"
            " prefix length, such as 10.0.0.1/24 or 2001:db8::1/64; the prefix length is 0 to 128"
        ),
    ]


def test_a_peer_that_is_not_there_is_a_warning_and_one_without_the_interface_an_error():
    other = "uid: 2, peer_pod: r2, local_intf: eth3, peer_intf: eth3"

    assert findings((topology("r1", A),)) == [
        (
            "0.yml:6: warning: Topology default/r1: spec.links[0].peer_pod: 'r2': is not in these files; the link"
            " waits until there is such a Topology"
        )
    ]
    assert findings((topology("r1", A, other), topology("r2", B))) == [
        (
            "0.yml:7: error: Topology default/r1: spec.links[1]: Topology default/r2 has no link with local_intf eth3"
            " (0.yml:13)"
        )
    ]


def test_a_topology_of_another_group_with_links_like_ours_is_a_warning():
    """A group that is misspelt, or of a project that took the fields over; what has other fields is nobody's affair."""
    texts = [text.replace("networkop.co.uk", "networkop.com") for text in (topology("r1", A), topology("r2", B))]
    racks = "apiVersion: kueue.x-k8s.io/v1beta1\nkind: Topology\nmetadata: {name: racks}\nspec: {levels: [{}]}\n"

    assert findings(texts, (racks,)) == [
        f"0.yml:{line}: warning: Topology default/{name}: apiVersion: 'networkop.com/v1beta1': is not meshnet's, which "
        "leaves this Topology alone; is networkop.co.uk/v1beta1 meant?"
        for line, name in ((1, "r1"), (8, "r2"))
    ]


def test_nothing_is_said_about_links_to_a_topology_that_is_wrong_itself():
    assert findings((topology("r1", A), topology("r2", B + ", mtu: 1"))) == [
        "0.yml:13: error: Topology default/r2: spec.links[0].mtu: 1: must be a whole number from 68 to 65535"
    ]


def test_a_mismatch_is_told_once_and_names_both_places():
    assert findings((topology("r1", A + ", mtu: 1400"),), (topology("r2", B + ", mtu: 1500"),)) == [
        (
            "1.yml:6: error: Topology default/r2: spec.links[0]: mtu is 1500 at default/r2:eth2 and 1400 at"
            " default/r1:eth1 (0.yml:6)"
        )
    ]


def test_an_entry_that_points_elsewhere():
    third = "uid: 1, peer_pod: r3, local_intf: eth2, peer_intf: eth1"

    assert findings((topology("r1", A), topology("r2", third))) == [
        (
            "0.yml:6: error: Topology default/r1: spec.links[0]: the peer of default/r2:eth2 is r3:eth1, not r1:eth1"
            " (0.yml:13)"
        ),
        (
            "0.yml:13: warning: Topology default/r2: spec.links[0].peer_pod: 'r3': is not in these files; the link"
            " waits until there is such a Topology"
        ),
    ]


def test_addresses_that_are_hardly_meant():
    ends = (
        topology("r1", A + ", local_ip: 10.0.0.1/24, peer_ip: 10.0.0.2/24"),
        topology("r2", B + ", local_ip: 10.0.0.1/16"),
    )

    assert findings(ends) == [
        (
            "0.yml:6: warning: Topology default/r1: spec.links[0].peer_ip: '10.0.0.2/24': is not used, the peer has"
            " 10.0.0.1/16 (0.yml:13)"
        ),
        "0.yml:13: warning: Topology default/r2: spec.links[0]: both ends have the address 10.0.0.1 (0.yml:6)",
    ]


def test_one_mac_at_both_ends_of_a_link_is_hardly_meant():
    mac = ", local_mac: '02:00:00:00:00:0A'"

    assert findings((topology("r1", A + mac), topology("r2", B + mac.lower()))) == [
        (
            "0.yml:13: warning: Topology default/r2: spec.links[0].local_mac: both ends have the MAC 02:00:00:00:00:0a"
            " (0.yml:6)"
        )
    ]


def test_one_mac_on_two_links_of_a_pod_is_nobodys_affair():
    mac = ", local_mac: '02:00:00:00:00:0a'"
    ends = (
        topology("r1", A + mac, "uid: 2, peer_pod: r2, local_intf: eth2, peer_intf: eth3" + mac),
        topology("r2", B, "uid: 2, peer_pod: r1, local_intf: eth3, peer_intf: eth2"),
    )

    assert findings(ends) == []


def test_options_that_each_end_has_for_itself():
    ends = topology("r1", A + ", options: {a: 1}"), topology("r2", B + ", options: {a: 2}")

    assert len(findings(ends)) == 1
    assert findings(ends, per_end=frozenset({"a"})) == []


def test_two_names_of_one_driver():
    ends = topology("r1", A + ", driver: VXLAN"), topology("r2", B + ", driver: vxlan")

    assert len(findings(ends)) == 1
    assert findings(ends, canonical=str.lower) == []


def test_namespaces_keep_topologies_apart():
    apart = topology("r1", A, namespace="x"), topology("r2", B)

    assert [line.split(": ")[1] for line in findings(apart)] == ["warning", "warning"]
    assert findings(apart, namespace="x") == []


def test_an_object_declared_twice():
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: r1}\n"

    assert findings((topology("r1"), pod), (topology("r1", namespace="default"), pod)) == [
        "1.yml:3: error: Topology default/r1: metadata.name: 'r1': is declared already, at 0.yml:3",
        "1.yml:9: error: Pod default/r1: metadata.name: 'r1': is declared already, at 0.yml:9",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: Topology\nmetadata: {name: r1}\n", "Topology default/r1: apiVersion: is required"),
        ("apiVersion: v1\nkind: 3\nmetadata: {name: r1}\n", "kind: is required"),
        (
            "apiVersion: networkop.co.uk/v1beta1\nkind: topology\nmetadata: {name: r1}\n",
            "kind: 'topology': must be Topology or MeshNode or GWireKObj",
        ),
        (
            "apiVersion: networkop.co.uk/v1\nkind: Topology\nmetadata: {name: r1}\n",
            "apiVersion: 'networkop.co.uk/v1': must be networkop.co.uk/v1beta1",
        ),
    ],
)
def test_what_an_object_is_must_be_said(text, message):
    (finding,) = findings((text,))

    assert message in finding


def test_a_file_that_cannot_be_read_hides_no_other():
    found = check_texts([(topology("r1", A), "good.yml"), ("a: }", "bad.yml"), (topology("r2", B), "other.yml")])

    assert [(finding.source, finding.line, finding.severity) for finding in found] == [("bad.yml", 1, Severity.ERROR)]
    assert str(found[0]).startswith("bad.yml:1: error: not YAML: ")


@given(st.lists(strategies.nearly_topologies(), max_size=4))
def test_any_objects_can_be_checked_and_every_finding_has_a_line(objects):
    text = "---\n".join(json.dumps(value, indent=1) + "\n" for value in objects)

    for finding in check_texts([(text, "t.yml")]):
        assert 1 <= finding.line <= text.count("\n") + 1
        assert str(finding).startswith(f"t.yml:{finding.line}: ")
