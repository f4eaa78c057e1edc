"""Every word that the code can give as the reason why a link is not up, found in the code itself."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from tests.docs.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

CORE = ("meshnet/daemon", "meshnet/dispatch", "meshnet/driver", "meshnet/model", "meshnet/peers", "meshnet/reconcile",
        "meshnet/errors.py", "meshnet/cli/links.py", "meshnet/cli/lost.py")  # fmt: skip
"""Where core says why."""
_WORD = re.compile(r"[A-Z][a-z]+([A-Z][A-Za-z]*)*")
_COMPOUND = re.compile(r"[A-Z][a-z]+([A-Z]+[a-z]*)+")
_NAMES = {"NewType", "TypeVar"}


def of_core() -> set[str]:
    """Words of core that are reasons, or look like one."""
    return set(_words(_sources(ROOT / place for place in CORE)))


def of_drivers() -> dict[str, set[str]]:
    """The same of each driver, by its name."""
    places = sorted(ROOT.glob("plugins/*/meshnet_*"))
    return {place.parent.name: set(_words(_sources([place]))) for place in places}


def _sources(places: Iterable[Path]) -> Iterator[ast.Module]:
    for place in places:
        for path in sorted(place.rglob("*.py")) or [place]:
            yield ast.parse(path.read_text(), str(path))


def _words(modules: Iterable[ast.Module]) -> Iterator[str]:
    for module in modules:
        for node in _without_names(module):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _COMPOUND.fullmatch(node.value):
                yield node.value
            yield from _given(node)


def _without_names(node: ast.AST) -> Iterator[ast.AST]:
    """All below a node, but what merely names things of the module, or compares with a reason that another gave."""
    if isinstance(node, ast.Compare):
        return
    if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == "__all__" for to in node.targets):
        return
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _NAMES:
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _without_names(child)


def _given(node: ast.AST) -> Iterator[str]:
    """Words that stand where a reason is given, one of a single part too: `LinkError(reason, ...)` and the like."""
    places: list[ast.expr | None] = []
    if isinstance(node, ast.Call):
        called = getattr(node.func, "id", getattr(node.func, "attr", ""))
        places += node.args[:1] if called in {"LinkError", "fail"} else []
        places += [keyword.value for keyword in node.keywords if keyword.arg == "reason"]
    elif isinstance(node, ast.Dict):
        places += [value for key, value in zip(node.keys, node.values, strict=True) if _text(key) == "reason"]
    elif isinstance(node, ast.Tuple) and len(node.elts) == 3:  # (state, reason, message)
        places += node.elts[1:2] if not _text(node.elts[0]) else []
    yield from (word for place in places if _WORD.fullmatch(word := _text(place)))


def _text(node: ast.AST | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
