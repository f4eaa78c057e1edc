"""The schemas say what the code does: same fields, same patterns, same bounds, same words."""

import re

from meshnet.model import rules
from meshnet.model.entry import LINK_FIELDS
from meshnet.model.resource import API_VERSION, Kind
from meshnet.model.schema import ANNOTATION, VERSION
from meshnet.model.topology import MAX_EPOCH
from meshnet.reconcile import status
from tests.manifests.files import MANIFESTS, documents
from tests.reconcile.test_status import Room

CRDS = [document for name in ("crd", "meshnode", "gwirekobj") for document in documents(f"base/{name}.yaml")]


def schema(kind):
    (version,) = next(crd for crd in CRDS if crd["spec"]["names"]["kind"] == kind)["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]


TOPOLOGY = schema("Topology")
LINKS = TOPOLOGY["properties"]["spec"]["properties"]["links"]
FIELDS = LINKS["items"]["properties"]
STATUS = TOPOLOGY["properties"]["status"]["properties"]


def patterns(field):
    """The regular expressions in a field's rules."""
    rules_of = field.get("x-kubernetes-validations", ())
    return [found for rule in rules_of for found in re.findall(r"(?<!!)self\.matches\('([^']*)'\)", rule["rule"])]


def test_every_kind_of_object_has_its_resource():
    found = {(crd["spec"]["group"], crd["spec"]["names"]["kind"], crd["spec"]["scope"]) for crd in CRDS}
    group = API_VERSION.partition("/")[0]

    assert found >= {(group, kind.value, "Namespaced" if kind.namespaced else "Cluster") for kind in Kind}
    for crd in CRDS:
        assert crd["metadata"]["name"] == f"{crd['spec']['names']['plural']}.{group}"
        assert [version["name"] for version in crd["spec"]["versions"]] == [API_VERSION.partition("/")[2]]


def test_the_schemas_that_daemons_write_to_say_how_old_they_are():
    marks = {crd["spec"]["names"]["kind"]: crd["metadata"].get("annotations", {}).get(ANNOTATION) for crd in CRDS}

    assert marks == {"Topology": str(VERSION), "MeshNode": str(VERSION), "GWireKObj": None}


def test_a_link_has_the_decoders_fields():
    assert set(FIELDS) == set(LINK_FIELDS)
    assert LINKS["items"]["required"] == ["uid", "peer_pod", "local_intf", "peer_intf"]
    assert all(field["description"] for field in FIELDS.values())


def test_patterns_are_the_decoders():
    subdomain = rules.SUBDOMAIN_PATTERN.replace("\\.", "[.]")
    assert patterns(FIELDS["peer_pod"]) == [subdomain]
    assert patterns(FIELDS["local_intf"]) == patterns(FIELDS["peer_intf"]) == [rules.INTERFACE_PATTERN]
    assert patterns(FIELDS["local_mac"]) == [rules.MAC_PATTERN]
    assert patterns(FIELDS["driver"]) == [rules.DRIVER_PATTERN]


def test_bounds_are_the_decoders():
    assert (LINKS["maxItems"], FIELDS["local_ips"]["maxItems"]) == (rules.MAX_LINKS, rules.MAX_ADDRESSES)
    assert (FIELDS["mtu"]["minimum"], FIELDS["mtu"]["maximum"]) == (rules.MIN_MTU, rules.MAX_MTU)
    assert FIELDS["uid"]["minimum"] == rules.MIN_UID
    assert STATUS["epoch"]["maximum"] == MAX_EPOCH
    assert f"<= {MAX_EPOCH} ?" in (MANIFESTS / "base" / "policy.yaml").read_text()
    text = (MANIFESTS / "base" / "crd.yaml").read_text()
    assert f"self.mtu >= {rules.MIN_IPV6_MTU}.0" in text


def test_messages_are_the_decoders():
    source = re.sub(r'"\s*f?"', "", "".join((MANIFESTS.parent / "meshnet" / "model" / name).read_text()
                    for name in ("rules.py", "entry.py")))  # fmt: skip
    for field in (*FIELDS.values(), FIELDS["local_ips"]["items"], LINKS["items"]):
        for rule in field.get("x-kubernetes-validations", ()):
            message = rule["message"].replace("1280", "{rules.MIN_IPV6_MTU}")
            assert message in source, message


def test_states_are_those_that_daemons_write():
    states = STATUS["links"]["items"]["properties"]["state"]["enum"]

    assert set(states) == {status.UP, status.DOWN, status.PENDING, status.FAILED}


def test_all_that_a_daemon_writes_into_a_status_is_described():
    composed = Room().compose()

    assert set(composed) <= set(STATUS)
    entries = [*composed["links"], *Room().compose()["links"]]
    assert {name for entry in entries for name in entry} <= set(STATUS["links"]["items"]["properties"])
    assert set(composed["conditions"][0]) <= set(STATUS["conditions"]["items"]["properties"])
    cleared = {name for name, value in status.cleared({}).items() if value is None}
    assert all(STATUS[name].get("nullable") for name in cleared)


def test_columns_show_what_is_written():
    (version,) = CRDS[0]["spec"]["versions"]
    columns = {column["name"]: column["jsonPath"] for column in version["additionalPrinterColumns"]}

    assert [*columns][:4] == ["Ready", "Links", "Node", "Age"]
    assert {"links_ready", "node"} == {columns[name].rpartition(".")[2] for name in ("Links", "Node")}
    assert CRDS[0]["spec"]["names"]["shortNames"] == ["topo"]
