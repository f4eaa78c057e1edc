"""docs/cli.md tells every setting of a daemon, and every field of a link."""

from __future__ import annotations

import re
from pathlib import Path

from meshnet.cli.links import LIVE_FIELDS, STATUS_FIELDS
from meshnet.driver.api import Scope
from meshnet.driver.registry import setting_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/cli.md").read_text()


def test_every_setting_is_on_the_page() -> None:
    read = (ROOT / "meshnet/daemon/settings.py").read_text()
    named = set(re.findall(r'"((?:MESHNET|NODE|HOST)_[A-Z_]+)"', read)) | {setting_of(scope) for scope in Scope}
    assert len(named) > 5
    assert {name for name in named if f"`{name}`" not in PAGE} == set()


def test_every_field_of_a_link_is_on_the_page_and_no_other() -> None:
    shown = re.sub(
        r"counters: {.*?}", "counters", re.search(r"^{(namespace, .*?)}\n```$", PAGE, re.MULTILINE | re.DOTALL)[1]
    )
    link, _, end = shown.partition("endpoints: [{")
    assert set(re.findall(r"\w+", link)) == {"namespace", "uid", "parent", *STATUS_FIELDS}
    assert set(re.findall(r"\w+", end)) == {"pod", "interface", "node", "state", "reason", "stale", *LIVE_FIELDS}
