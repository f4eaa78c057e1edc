"""Topologies, good and bad, that everything which judges them must agree on."""

from pathlib import Path
from typing import Any, NamedTuple

import yaml

HERE = Path(__file__).parent


class Case(NamedTuple):
    """A Topology, and where it is wrong: for `meshnet check`, and for an API server."""

    document: dict[str, Any]
    paths: set[str]
    at_server: set[str]

    @property
    def name(self) -> str:
        return str(self.document["metadata"]["name"])


def good() -> list[Case]:
    return [Case(document, set(), set()) for document in _read("good.yml")]


def bad() -> list[Case]:
    found = []
    for document in _read("bad.yml"):
        expected = document["metadata"]["annotations"]
        paths = set(expected["paths"].split())
        found.append(Case(document, paths, set(expected.get("at-server", expected["paths"]).split())))
    return found


def _read(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((HERE / name).read_text()))
