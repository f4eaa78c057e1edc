"""Core knows drivers by what they declare, never by name: a stranger's is as good as ours."""

import ast
from pathlib import Path

import pytest

import meshnet
from meshnet.driver.registry import Registry

ROOT = Path(meshnet.__file__).parent
OF_THE_KERNEL = {"netlink", "cli/checks/kernel.py"}
"""What speaks of the kernel's own kinds of link: the requests for them, and the check whether it has them."""
SOURCES = sorted(
    path
    for path in ROOT.rglob("*.py")
    if not OF_THE_KERNEL & {str(path.relative_to(ROOT)), str(path.parent.relative_to(ROOT))}
)
OURS = {"veth", "vxlan", "macvlan", "grpcwire", "grpc"}
"""Those of this project, installed here or not."""


@pytest.fixture(scope="module")
def names():
    installed = {name.lower() for entry in Registry.load().entries() for name in (entry.name, *entry.driver.aliases)}
    return OURS | installed


def driver_names(source, names):
    """Lines of `source` on which a string is a driver's name, or a driver's package is named.

    The kernel has kinds of link of the same names: what is compared with a `kind` is one of those.
    """
    tree = ast.parse(source)
    kernels = {
        id(side)
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) and any(getattr(side, "attr", "") == "kind" for side in sides(node))
        for side in sides(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in kernels:
            if node.value.lower() in names or any(f"meshnet_{name}" in node.value for name in names):
                yield node.lineno
        elif isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            if any(module.startswith("meshnet_") for module in modules):
                yield node.lineno


def sides(compare):
    return [compare.left, *compare.comparators]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_of_core_names_a_driver(path, names):
    assert list(driver_names(path.read_text(), names)) == []


@pytest.mark.parametrize(
    "source",
    [
        "if driver.name == 'veth': pass",
        "DEFAULT = 'VXLAN'",
        "{'macvlan': 1}",
        "import meshnet_veth",
        "from meshnet_veth.driver import X",
        "importlib.import_module('meshnet_grpcwire')",
        "kind = 'veth'",
    ],
)
def test_a_driver_name_would_be_found(source, names):
    assert list(driver_names(source, names)) == [1]


@pytest.mark.parametrize("source", ["info.kind != 'veth'", "'''A veth.'''", "x = 'the veth of a port'"])
def test_the_kernels_words_are_not_taken_for_names(source, names):
    assert list(driver_names(source, names)) == []
