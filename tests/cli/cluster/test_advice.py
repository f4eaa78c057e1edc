from __future__ import annotations

import re
from pathlib import Path

from meshnet.cli.cluster.advice import BY_REASON, ELSE, advice

PAGE = (Path(__file__).parents[3] / "docs/topologies.md").read_text()


def test_every_reason_with_an_advice_is_one_that_there_is() -> None:
    listed = set(re.findall(r"`([A-Z]\w+)`", PAGE)) | {"NotObserved"}  # that one is the command's own
    assert set(BY_REASON) <= listed


def test_a_reason_that_is_not_known_leads_to_the_page() -> None:
    assert advice("SomethingOfADriver") == advice("") == ELSE
