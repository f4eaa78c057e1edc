"""The cluster by hand: what ``make cluster`` and its like call."""

from __future__ import annotations

import argparse
import sys

from tests.cluster.machine.binaries import find_binaries
from tests.cluster.machine.errors import CannotHereError, ClusterError

CANNOT = 77
"""Exit code for what this machine cannot do, as of other tiers."""


def programs() -> None:
    """Build the programs, where they are not there yet."""
    found = find_binaries(may_build=True)
    print(f"the cluster's programs: {found.kube} {found.etcd} {found.containerd}")


VERBS = {"programs": programs}


def main() -> int:
    parser = argparse.ArgumentParser(prog="cluster", description=__doc__)
    parser.add_argument("verb", choices=VERBS)
    arguments = parser.parse_args()
    try:
        VERBS[arguments.verb]()
    except CannotHereError as reason:
        print(f"cluster: {reason}", file=sys.stderr)
        return CANNOT
    except ClusterError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
