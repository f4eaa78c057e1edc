"""The image, built when it is older than what it is made of, and a container's root made from it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.image.build import BUILD_LIMIT_S, CannotBuildError, built_archive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.image.archive import Archive

TIMEOUT_S = BUILD_LIMIT_S + 60
"""Of a test: its first has the image to build."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))


@pytest.fixture(scope="session")
def archive() -> Archive:
    """The archive that ``make image`` leaves."""
    try:
        return built_archive()
    except CannotBuildError as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def root(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What a container of the image has for its root."""
    directory = tmp_path_factory.mktemp("image") / "root"
    archive.unpack(directory)
    yield directory
    shutil.rmtree(directory)
