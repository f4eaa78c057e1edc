"""What is tried on an API server is worth the try: right and wrong in every field."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, seed, settings

from meshnet.errors import InvalidObject
from meshnet.model.codec import decode_topology
from meshnet.model.entry import LINK_FIELDS
from tests.manifests.strategies import documents

GOOD = ("addresses", "peer_ip", "local_mac", "driver", "mtu", "options", "down")


ROUNDS = 4
"""What comes in one also depends on the modules that are loaded, in which Hypothesis looks for constants."""


def missing(seen):
    """Return what there is too little of."""
    least = {"good": 51, "one problem": 51, "spec": 1, "links": 1}
    least |= dict.fromkeys(LINK_FIELDS, 1) | {f"good {name}": 6 for name in GOOD}
    return {name for name, number in least.items() if seen[name] < number}


@pytest.mark.timeout(180)
def test_there_are_good_ones_and_bad_ones_in_every_field():
    seen = Counter()

    def look(document):
        try:
            topology = decode_topology(document)
        except InvalidObject as error:
            seen.update({problem.path.rpartition(".")[2].partition("[")[0] for problem in error.problems})
            seen["one problem"] += len(error.problems) == 1
        else:
            seen["good"] += bool(topology.links)
            seen.update(f"good {name}" for link in topology.links for name in GOOD if getattr(link, name))

    several = settings(max_examples=1000, database=None, suppress_health_check=list(HealthCheck))
    for number in range(ROUNDS):
        seed(number)(several(given(documents())(look)))()
        if not missing(seen):
            return
    pytest.fail(f"{missing(seen)} of {seen}")
