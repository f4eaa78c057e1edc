"""No command of the pages for clusters is left out, and what is said to be run elsewhere is."""

from __future__ import annotations

import ast
import re
import shlex
from typing import TYPE_CHECKING

import pytest

from meshnet.cli.main import parse
from tests.docs.pages import KUBERNETES, README, ROOT, SECURITY, blocks
from tests.docs.tried import ELSEWHERE, PAGES_ELSEWHERE, in_order

if TYPE_CHECKING:
    from pathlib import Path

PAGES = sorted(KUBERNETES.glob("*.md"))
ALL = [*sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("plugins/*/README.md"))]
OF_MESHNET = re.compile(r"^(?:kubectl meshnet|meshnet|.* -- meshnet) (.*)$", re.MULTILINE)


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def slugs(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and others make them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_block_of_these_pages_is_tried() -> None:
    there = {block for page in [*PAGES, SECURITY] if page.name not in PAGES_ELSEWHERE for block in blocks(page)}
    here = in_order()

    assert there <= set(here)
    assert len(here) == len(set(here))
    assert {block.section for block in here if block.page == README} == {"On Kubernetes"}


@pytest.mark.parametrize("test", sorted({*ELSEWHERE.values(), *PAGES_ELSEWHERE.values()}))
def test_what_is_tried_elsewhere_is_a_test(test: str) -> None:
    path, _, name = test.partition("::")

    module = ast.parse((ROOT / path).read_text())

    assert name in {node.name for node in ast.walk(module) if isinstance(node, ast.FunctionDef)}


def test_nothing_is_said_to_be_tried_elsewhere_that_no_page_has() -> None:
    assert set(ELSEWHERE) <= {command for block in in_order() for command in block.commands}
    assert all((KUBERNETES / name).exists() for name in PAGES_ELSEWHERE)


@pytest.mark.parametrize("page", ALL, ids=_name)
def test_the_commands_of_meshnet_exist(page: Path) -> None:
    for words in OF_MESHNET.findall("".join(block.text for block in blocks(page))):
        parse(shlex.split(words, comments=True))


@pytest.mark.parametrize("page", ALL, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    for file, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text()):
        target = page.parent / file if file else page
        assert target.exists(), file
        assert not anchor or anchor in slugs(target), f"{file}#{anchor}"


def test_every_page_can_be_found_from_the_readme() -> None:
    pages = [README]
    for page in pages:
        links = re.findall(r"\]\(([^):#]+\.md)", page.read_text())
        pages += dict.fromkeys(found for link in links if (found := (page.parent / link).resolve()) not in pages)

    assert set(pages) >= set(ROOT.glob("docs/**/*.md"))
