"""What is tried on an API server is worth the try: right and wrong in every field."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings

from meshnet.errors import InvalidObject
from meshnet.model.codec import decode_topology
from meshnet.model.entry import LINK_FIELDS
from tests.manifests.strategies import documents

GOOD = ("addresses", "peer_ip", "local_mac", "driver", "mtu", "options", "down")


@pytest.mark.timeout(180)
def test_there_are_good_ones_and_bad_ones_in_every_field():
    seen = Counter()

    @settings(
        max_examples=1000, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(documents())
    def look(document):
        try:
            topology = decode_topology(document)
        except InvalidObject as error:
            seen.update({problem.path.rpartition(".")[2].partition("[")[0] for problem in error.problems})
            seen["one problem"] += len(error.problems) == 1
        else:
            seen["good"] += bool(topology.links)
            seen.update(f"good {name}" for link in topology.links for name in GOOD if getattr(link, name))

    look()
    assert min(seen["good"], seen["one problem"]) > 50, seen
    assert min(seen[name] for name in (*LINK_FIELDS, "spec", "links")) > 0, seen
    assert min(seen[f"good {name}"] for name in GOOD) > 5, seen
