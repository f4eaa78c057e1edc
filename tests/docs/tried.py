"""Which commands of the pages for clusters are run, in which order, and which of them somebody else runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.docs.pages import KUBERNETES, README, SECURITY, TROUBLESHOOTING, blocks

if TYPE_CHECKING:
    from tests.docs.pages import Block

INSTALL = KUBERNETES / "install.md"
ON_A_NODE = "tests/cli/test_cni.py::test_from_nothing_to_installed_and_back"
ELSEWHERE = {
    "make image": "tests/image/test_image.py::test_it_installs_itself_on_a_node",
    "meshnet cni install": ON_A_NODE,
    "meshnet cni status": ON_A_NODE,
}
"""Commands that another test runs, and which."""
PAGES_ELSEWHERE = {"manifests.md": "tests/cluster/test_manifests_page.py::test_its_commands_work"}
"""Pages whose commands are all run by another test."""
LAST = ("Upgrade", "From meshnet-cni", "Uninstall")
"""Sections of the page on installing, in the order in which somebody comes to them."""


def in_order() -> list[Block]:
    """Every block of commands that is to be run on one cluster, from the installation to its end."""
    install = blocks(INSTALL)
    readme = [block for block in blocks(README) if block.section == "On Kubernetes"]
    found = [block for block in install if block.section not in LAST] + readme
    for page in (KUBERNETES / "drivers.md", SECURITY, TROUBLESHOOTING):
        found += blocks(page)
    return found + [block for section in LAST for block in install if block.section == section]


def script(block: Block) -> str:
    """What is to be run of a block."""
    return "\n".join(command for command in block.commands if _command(command) not in ELSEWHERE)


def _command(line: str) -> str:
    return line.partition("#")[0].strip()
