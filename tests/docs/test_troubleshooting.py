"""The page on troubles has every reason that the code can give, and quotes what the code says."""

from __future__ import annotations

import ast
import re

import pytest

from tests.docs import reasons
from tests.docs.pages import ROOT, SECURITY, TROUBLESHOOTING, rows

NO_REASON = {
    "AliasEvent", "MappingEndEvent", "MappingStartEvent", "ScalarEvent", "SequenceEndEvent",
    "SequenceStartEvent",  # of YAML
    "MeshNode", "LinksReady", "NotYet",
}  # fmt: skip
REFUSALS = {"OldTLS", "OtherName", "PinRemoved", "StreamUnknown", "TooManyStreams", "UnknownCertificate"}
"""What a daemon says of a call that it refuses: they are in the page on security."""
OTHERS = {
    "ImagePullBackOff", "ErrImageNeverPull", "insufficient quota to match these scopes", "violates PodSecurity",
    "OOMKilled", "EMFILE",
}  # fmt: skip
"""What Kubernetes and the kernel say."""


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_reason_of_core_is_in_the_table_and_no_other() -> None:
    told = [quoted(cells[0])[0] for cells in rows(TROUBLESHOOTING, "reason", "what it means")]

    assert set(told) == reasons.of_core() - NO_REASON - REFUSALS
    assert told == sorted(told)


def test_what_is_no_reason_is_still_there() -> None:
    assert reasons.of_core() >= NO_REASON | REFUSALS


def test_every_reason_of_a_driver_is_in_its_table_and_no_other() -> None:
    told = {quoted(cells[0])[0]: cells[1] for cells in rows(TROUBLESHOOTING, "reason", "driver")}
    drivers = reasons.of_drivers()
    names = {
        (word, name) for word, whose in told.items() for name in (drivers if whose == "any" else whose.split(", "))
    }

    given = {(word, name) for name, words in drivers.items() for word in words}
    assert given <= names
    assert {word for word, _ in names} == {word for word, _ in given}
    assert list(told) == sorted(told)


def test_every_refusal_is_in_the_page_on_security() -> None:
    for word in REFUSALS:
        assert f"`{word}`" in SECURITY.read_text(), word


def said() -> str:
    """All that meshnet can say, a text a line: its own strings, the plugin's, the policies'."""
    texts = [(ROOT / "meshnet/cni/plugin.c").read_text(), (ROOT / "manifests/base/policy.yaml").read_text()]
    for path in ROOT.glob("meshnet/**/*.py"):
        constants = (node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant))
        texts += [value for value in constants if isinstance(value, str)]
    return "\n".join(" ".join(text.split()) for text in texts)


@pytest.mark.parametrize("head", ["it says", "its event says"])
def test_what_is_quoted_is_what_the_code_says(head: str) -> None:
    corpus = said()
    found = [phrase for cells in rows(TROUBLESHOOTING, head) for phrase in quoted(cells[0])]

    assert found
    for phrase in set(found) - OTHERS:
        for piece in re.split(r"…|: |; |:$|;$", phrase):
            assert piece.strip(" ,") in corpus, (phrase, piece)
