"""Blocks and tables are found as they stand, since what is not found is not tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import blocks, rows

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """# Page
```
first
node=n1
```
## Steps
1. So:

   ```
   for node in a b; do
     echo $node
   done
   last
   ```

```yaml
a: 1
```

| it says | do |
|---|---|
| `one` | a |
| `two` | b |

| other | do |
|---|---|
| `three` | c |
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.md"
    path.write_text(TEXT)
    return path


def test_commands_are_found_with_their_section_indented_or_not(page: Path) -> None:
    first, second = blocks(page)

    assert (first.section, first.commands) == ("Page", ["first", "node=n1"])
    assert (second.section, second.commands) == ("Steps", ["for node in a b; do\n  echo $node\ndone", "last"])


def test_another_language_is_another_block(page: Path) -> None:
    assert [block.text for block in blocks(page, "yaml")] == ["a: 1\n"]


def test_tables_are_found_by_their_header(page: Path) -> None:
    assert rows(page, "it says") == [["`one`", "a"], ["`two`", "b"]]
    assert rows(page, "other", "do") == [["`three`", "c"]]
    assert rows(page, "nothing") == []
