from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshnet.errors import InvalidObject
from meshnet.model.resource import Kind
from meshnet.stores.admission import admit, kept_in, label
from meshnet.testing.stores.handles import node, topology

FIELDS = ["apiVersion", "kind", "metadata", "name", "namespace", "labels", "annotations", "finalizers", "spec"]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(FIELDS) | st.integers() | st.text(), inner),
    max_leaves=12,
)
METADATA = st.dictionaries(st.sampled_from(FIELDS), ANYTHING)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    wrong = {"kind": "Pod", "metadata": {"name": "A", "labels": {"x": 1}, "finalizers": [2]}, "spec": "no"}
    with pytest.raises(InvalidObject, match=r"^Pod A: ") as caught:
        admit(wrong)
    assert [problem.path for problem in caught.value.problems] == [
        "apiVersion",
        "kind",
        "metadata.name",
        "spec",
        "metadata.labels.x",
        "metadata.finalizers",
    ]


def test_a_draft_is_its_own() -> None:
    document = topology()
    draft = admit(document)
    draft.document["spec"]["links"].clear()
    assert (draft.kind, draft.key) == (Kind.TOPOLOGY, ("default", "r1"))
    assert document == topology()


def test_a_namespace_that_says_nothing() -> None:
    for empty in ("", None):
        assert admit(topology(metadata={"name": "r1", "namespace": empty})).key == ("default", "r1")
        assert "namespace" not in admit(node() | {"metadata": {"name": "n1", "namespace": empty}}).document["metadata"]


def test_keys_and_labels() -> None:
    assert (kept_in(Kind.TOPOLOGY, ""), kept_in(Kind.TOPOLOGY, "x"), kept_in(Kind.NODE, "x")) == ("default", "x", "")
    assert (label(Kind.TOPOLOGY, "x", "r1"), label(Kind.NODE, "", "n1")) == ("Topology x/r1", "MeshNode n1")


@given(ANYTHING | st.builds(lambda fields, metadata: topology() | fields | {"metadata": metadata}, METADATA, METADATA))
def test_whatever_comes_is_let_in_or_refused(document: Any) -> None:
    with contextlib.suppress(InvalidObject):
        draft = admit(document)
        assert admit(draft.document) == draft
