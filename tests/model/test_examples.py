"""The examples are right: they pass the check, the large ones are what the script makes, and each name is there."""

import pathlib
import runpy

import pytest

from meshnet.model.codec import decode_topology
from meshnet.model.documents import read_documents
from tests.model.checking import check_texts
from tests.model.encoding import encode_topology

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
FILES = sorted(EXAMPLES.glob("*.yml"))


def topologies(name):
    documents = read_documents((EXAMPLES / name).read_text(), name)
    return [decode_topology(document.document) for document in documents if document.kind == "Topology"]


def test_the_usual_topologies_are_there():
    assert {path.name for path in FILES} >= {
        "2node.yml",
        "3node.yml",
        "3node-parallel.yml",
        "5node.yml",
        "statefulset.yml",
        "macvlan.yml",
        "dual-stack.yml",
        "star64.yml",
        "ring100.yml",
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_example_passes_the_check(path):
    assert [str(finding) for finding in check_texts([(path.read_text(), path.name)])] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_each_topology_has_its_pod(path):
    documents = read_documents(path.read_text(), path.name)
    pods = {document.name for document in documents if document.kind == "Pod"}
    pods |= {f"{document.name}-0" for document in documents if document.kind == "StatefulSet"}

    assert pods == {document.name for document in documents if document.kind == "Topology"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_example_survives_the_codec(path):
    for topology in topologies(path.name):
        assert decode_topology(encode_topology(topology)) == topology


@pytest.mark.parametrize(
    ("name", "pods", "ends"),
    [
        ("2node.yml", 2, 2),
        ("3node.yml", 3, 6),
        ("3node-parallel.yml", 3, 12),
        ("5node.yml", 5, 12),
        ("statefulset.yml", 2, 2),
        ("macvlan.yml", 2, 2),
        ("dual-stack.yml", 2, 2),
        ("star64.yml", 64, 126),
        ("ring100.yml", 100, 200),
    ],
)
def test_an_example_has_the_size_that_it_says(name, pods, ends):
    found = topologies(name)

    assert (len(found), sum(len(topology.links) for topology in found)) == (pods, ends)


def test_the_large_ones_are_what_the_script_makes():
    script = runpy.run_path(str(EXAMPLES / "generate.py"))

    for name, (title, links) in script["EXAMPLES"].items():
        assert (EXAMPLES / name).read_text() == title + script["manifest"](links)
