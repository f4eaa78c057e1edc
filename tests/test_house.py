"""The rules of the house, and that its documents are true."""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

import meshnet
from meshnet.cli.exitcodes import exit_code
from meshnet.cli.main import COMMANDS, build_parser, parse
from meshnet.driver.registry import Registry
from meshnet.errors import MeshnetError
from meshnet.lab.manifests import read_manifests
from meshnet.model.codec import decode_topology
from meshnet.model.documents import read_documents
from tests.docs.pages import README, ROOT, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOURCES = sorted([*ROOT.glob("meshnet/**/*.py"), *ROOT.glob("plugins/*/meshnet_*/**/*.py"), *ROOT.glob("scripts/*")])
PYTHON = [path for path in SOURCES if path.suffix == ".py" or path.read_text().startswith("#!/usr/bin/env python")]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/*.md")]

LONGEST_FILE = 300
ONE_FILE = {"meshnet/cni/front.py": 450}
"""What a runtime executes as a program by itself cannot be two modules."""

# in brackets: this file would find itself
LEFT_FOR_LATER = re.compile(r"\b(T[O]DO|F[I]XME|X[X]X)\b|pragma: no[ ]cover|type: ignore(?!\[)")
LONGEST_FUNCTION = 60
EXIT_CODES = {"DaemonUnreachable": 3, "StoreUnavailable": 3, "UsageError": 2}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Every command that has no sub-commands."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield parser
    for group in groups:
        for sub in dict.fromkeys(group.choices.values()):
            yield from leaves(sub)


LEAVES = {parser.prog: parser for parser in leaves(build_parser(*COMMANDS))}


@pytest.mark.parametrize("path", PYTHON, ids=name_of)
def test_rooms_are_small(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") < ONE_FILE.get(name_of(path), LONGEST_FILE)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < LONGEST_FUNCTION, node.name


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_nothing_is_left_for_later(path: Path) -> None:
    assert not LEFT_FOR_LATER.search(path.read_text())


def modules() -> list[Any]:
    names = [found.name for found in pkgutil.walk_packages(meshnet.__path__, "meshnet.")]
    # the kit belongs to pytest: its plugin must be loaded before its modules
    loaded = [name for name in names if name != "meshnet.__main__" and not name.startswith("meshnet.testing.")]
    return [importlib.import_module(name) for name in loaded]


def test_every_error_has_an_exit_code() -> None:
    modules()
    classes = [MeshnetError]
    for cls in classes:
        classes += cls.__subclasses__()
    ours = {cls for cls in classes if cls.__module__.startswith("meshnet.")}
    assert {cls.__name__ for cls in ours} >= EXIT_CODES.keys()
    for cls in ours:
        wanted = next((EXIT_CODES[base.__name__] for base in cls.__mro__ if base.__name__ in EXIT_CODES), 1)
        assert exit_code(cls) == wanted, cls


def test_all_is_true() -> None:
    for module in modules():
        exported = getattr(module, "__all__", ())
        assert [name for name in exported if not hasattr(module, name)] == [], module
        assert len(exported) == len(set(exported)), module


@pytest.mark.parametrize("module", ["meshnet.cni.front", "meshnet.cni.request", "meshnet.cni.result"])
def test_what_starts_at_every_cni_call_needs_the_standard_library_only(module: str) -> None:
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {module}"
    subprocess.run([sys.executable, "-I", "-S", "-c", script], check=True, timeout=20)


def test_the_front_stands_alone() -> None:
    tree = ast.parse((ROOT / "meshnet/cni/front.py").read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in imported} <= sys.stdlib_module_names


def test_every_command_is_a_module_and_is_listed() -> None:
    for command in COMMANDS:
        assert callable(importlib.import_module(f"meshnet.cli.{command}").register)


@pytest.mark.parametrize("command", LEAVES)
def test_every_command_has_a_description_and_an_example_that_parses(command: str) -> None:
    parser = LEAVES[command]
    assert parser.description
    assert command in parser.format_help()
    examples = [line for line in (parser.epilog or "").splitlines() if "meshnet" in line]
    assert examples
    for line in examples:
        words = shlex.split(line, comments=True)
        parse(words[words.index("meshnet") + 1 :])


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_what_a_page_makes_are_targets_of_the_makefile(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in "".join(block.text for block in blocks(path)).splitlines():
        if line.startswith("make "):
            assert line.split()[1] in targets, line


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_the_lines_of_a_page_are_as_short_as_those_of_the_code(path: Path) -> None:
    """But those of tables, which cannot be broken, and of drawings."""
    prose = re.sub(r"^( *)```.*?^\1```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert [line for line in prose.splitlines() if len(line) > 120 and not line.lstrip().startswith("|")] == []


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_the_examples_that_a_page_names_exist(path: Path) -> None:
    examples = re.findall(r"\bexamples/[\w./-]+", path.read_text())
    assert [name for name in examples if not (ROOT / name).exists()] == []


def test_the_readme_driver_is_a_driver() -> None:
    (snippet,) = blocks(README, "python")
    room: dict[str, Any] = {"__name__": "your_module"}
    exec(compile(snippet.text, "README.md", "exec"), room)
    found: list[Any] = []
    room["meshnet_register_drivers"](found.append)
    registry = Registry.of(*found)
    assert [entry.name for entry in registry.usable()] == ["wire"]
    assert registry.broken() == []


def test_the_readme_topology_is_one_and_its_pod_a_pod() -> None:
    topology, pod = (read_documents(snippet.text, "README.md")[0] for snippet in blocks(README, "yaml"))
    assert decode_topology(topology.document).links[0].local_intf == "eth1"
    (found,) = read_manifests([pod.document]).pods
    assert (found.name, found.commands) == (topology.name, ())


def test_the_readme_lists_the_drivers_that_there_are() -> None:
    listed = set(re.findall(r"^\| `(\w+)` \|", README.read_text(), re.MULTILINE))
    assert listed == {path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml")}


def test_drivers_are_released_with_the_core_and_take_none_that_is_older() -> None:
    for path in ROOT.glob("plugins/*/pyproject.toml"):
        project = tomllib.loads(path.read_text())["project"]
        assert project["version"] == meshnet.__version__
        assert f"meshnet-cni>={meshnet.__version__}" in project["dependencies"], path


def test_the_reference_is_what_the_commands_say() -> None:
    script = [sys.executable, str(ROOT / "scripts/cli-reference")]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    written = subprocess.run(script, capture_output=True, text=True, check=True, timeout=30, env=environ).stdout
    assert (ROOT / "docs/cli.md").read_text() == written, "run: .venv/bin/python scripts/cli-reference > docs/cli.md"


def test_what_is_skipped_for_who_is_not_root_may_be_skipped_there() -> None:
    """By the list that continuous integration has for an ordinary user."""
    lines = (line.split("#")[0].strip() for line in (ROOT / ".ci/allowed-skips.user").read_text().splitlines())
    allowed = [re.compile(line) for line in lines if line]
    skips = re.compile(r'skipif\(\s*os\.geteuid\(\) != 0,\s*reason="([^"]+)"')
    reasons = [reason for path in ROOT.glob("tests/**/*.py") for reason in skips.findall(path.read_text())]
    assert reasons
    assert [reason for reason in reasons if not any(one.search(reason) for one in allowed)] == []
