"""Labs for scenarios: each test has one of its own, which ends with the test."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest

from tests.lab.scenarios.elsewhere import Venv
from tests.lab.scenarios.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator


HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is a lab test; one that says nothing else may take two minutes."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.lab)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(120))


@pytest.fixture
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    """A lab named after the test; ended with it."""
    name = re.sub("[^A-Za-z0-9]+", "-", request.node.name.removeprefix("test_"))[:40].strip("-")
    lab = Lab(f"{name}-{os.getpid()}", directory=str(tmp_path))
    yield lab
    try:
        if request.node.stash.get(FAILED, False):
            print(lab.run("get", "links", code=None).stdout)
            for node in ("n1", "n2", "n3"):
                print(lab.run("lab", "logs", node, code=None).stdout[-8000:])
    finally:
        lab.down()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Venv:
    return Venv.make(tmp_path / "venv")


@pytest.fixture
def there(lab: Lab, elsewhere: Venv) -> Lab:
    """The test's lab, run from that environment."""
    return attrs.evolve(lab, command=(elsewhere.python, "-m", "meshnet"))


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember that a test failed, so that its lab may tell why before it ends."""
    report = yield
    if report.when == "call" and report.failed:
        item.stash[FAILED] = True
    return report
