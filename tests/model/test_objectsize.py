"""How large a Topology may be, so that its status has room beside it."""

import pytest

from meshnet.model.codec import decode_topology
from meshnet.model.objectsize import MAX_OBJECT_BYTES, bytes_kept
from tests.model.test_codec import link_entry, problems, topology_document


def links(number, **fields):
    return [link_entry(uid=uid, local_intf=f"eth{uid}", **fields) for uid in range(1, number + 1)]


@pytest.mark.parametrize(
    ("value", "size"), [([1, "a"], 7), ("<>&", 20), ("\u2028", 8), ({"a": None}, 10), ({1: b"x"}, 12)]
)
def test_what_a_value_takes(value, size):
    assert bytes_kept(value) == size


@pytest.mark.parametrize(
    "document",
    [
        topology_document(*links(4096, local_ip="10.0.0.1/24", peer_ip="10.0.0.2/24", local_mac="02:00:00:00:00:01")),
        topology_document(*links(100, options={"x": "y" * 10_000})),
        topology_document(*links(4096), status={"links": "x" * 1_000_000}),
        topology_document(*links(4096)) | {"metadata": {"name": "r1", "managedFields": ["x" * 1_000_000]}},
    ],
    ids=["many fields", "few that are large", "a status", "notes of the server"],
)
def test_a_topology_with_room_for_its_status(document):
    assert decode_topology(document).links


@pytest.mark.parametrize(
    "document",
    [
        topology_document(*links(4096, peer_pod="p" * 253)),
        topology_document(*links(4096, options={"x": "<" * 35})),
        topology_document(*links(1), spare="x" * MAX_OBJECT_BYTES),
        topology_document(*links(4096)) | {"metadata": {"name": "r1", "annotations": {"x": "y" * 1_000_000}}},
    ],
    ids=["names", "what takes more than one sees", "another field", "an annotation"],
)
def test_a_topology_without_says_so(document):
    ((path, told),) = problems(document).items()
    assert path == "spec"
    assert f"takes {bytes_kept(document | {'status': {}})} bytes" in told
    assert "room for the status" in told
