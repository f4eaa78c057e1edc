"""docs/cli.md tells every setting of a daemon."""

from __future__ import annotations

import re
from pathlib import Path

from meshnet.driver.api import Scope
from meshnet.driver.registry import setting_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/cli.md").read_text()


def test_every_setting_is_on_the_page() -> None:
    read = (ROOT / "meshnet/daemon/settings.py").read_text()
    named = set(re.findall(r'"((?:MESHNET|NODE|HOST)_[A-Z_]+)"', read)) | {setting_of(scope) for scope in Scope}
    assert len(named) > 5
    assert {name for name in named if f"`{name}`" not in PAGE} == set()
