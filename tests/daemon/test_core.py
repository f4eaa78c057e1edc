"""What a daemon cannot do without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshnet.daemon.core import open_identifiers
from meshnet.errors import InvalidObject

if TYPE_CHECKING:
    from pathlib import Path


def test_a_state_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "identifiers.jsonl").mkdir()
    with pytest.raises(InvalidObject) as caught:
        open_identifiers(tmp_path)
    told = f"settings: MESHNET_STATE_DIR: '{tmp_path}/identifiers.jsonl': a file that it can read and write: "
    assert str(caught.value).startswith(f"{told}Is a directory")
