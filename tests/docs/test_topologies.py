"""The page on Topologies has every field that there is, and no other."""

from __future__ import annotations

import re

from meshnet.model import rules
from meshnet.model.entry import LINK_FIELDS
from meshnet.reconcile.linkstate import DOWN, FAILED, PENDING, UP
from tests.docs import reasons
from tests.docs.pages import ROOT, rows
from tests.manifests.test_crd import STATUS

PAGE = ROOT / "docs/topologies.md"
OF_UPSTREAM = {"skipped"}
"""Kept in the schema, and written by nobody."""


def quoted(*cells: str) -> set[str]:
    return set(re.findall(r"`(\w+)(?:\[\])?`", " ".join(cells)))


def test_the_fields_of_a_link() -> None:
    assert tuple(name for cells in _fields()[: len(LINK_FIELDS)] for name in quoted(cells[0])) == LINK_FIELDS


def test_the_bounds_of_an_mtu() -> None:
    (told,) = (cells[1] for cells in _fields() if cells[0] == "`mtu`")
    assert f"{rules.MIN_MTU} to {rules.MAX_MTU}" in told
    assert f"{rules.MIN_IPV6_MTU} at least" in told


def test_the_fields_of_a_status() -> None:
    told = _fields()[len(LINK_FIELDS) :]
    assert quoted(*(cells[0] for cells in told)) == STATUS.keys() - OF_UPSTREAM
    (links,) = (cells[1] for cells in told if "`links[]`" in cells[0])
    assert quoted(links) - {"vxlan"} == STATUS["links"]["items"]["properties"].keys()


def test_every_state_is_told_in_its_order() -> None:
    assert [cells[0] for cells in rows(PAGE, "state", "meaning")] == [
        f"`{each}`" for each in (UP, DOWN, PENDING, FAILED)
    ]


def test_no_reason_but_those_that_there_are() -> None:
    told = quoted(*(cells[0] for cells in rows(PAGE, "reason", "what to do")))
    assert told <= reasons.of_core().union(*reasons.of_drivers().values())


def _fields() -> list[list[str]]:
    return rows(PAGE, "field", "meaning")
