"""The manifests as documents."""

from pathlib import Path
from typing import Any

import yaml

MANIFESTS = Path(__file__).parents[2] / "manifests"


def documents(path: str) -> list[dict[str, Any]]:
    """The objects in a file below `manifests`."""
    return list(yaml.safe_load_all((MANIFESTS / path).read_text()))


def only(kind: str, path: str) -> dict[str, Any]:
    """The one object of a kind in a file."""
    (found,) = [document for document in documents(path) if document["kind"] == kind]
    return found


def daemon_container() -> dict[str, Any]:
    (found,) = only("DaemonSet", "base/daemonset.yaml")["spec"]["template"]["spec"]["containers"]
    return dict(found)


def environment() -> dict[str, str]:
    """What the base tells a daemon outright."""
    return {each["name"]: each["value"] for each in daemon_container()["env"] if "value" in each}
