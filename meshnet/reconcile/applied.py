"""What of a link's spec counts as applied to its interface in the pod."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from meshnet.model import names
from meshnet.reconcile.end import Applied

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshnet.dispatch.resolve import Plan
    from meshnet.errors import RestartPod


def applied_of(plan: Plan) -> Applied:
    """Return what is applied of a plan when all of it is."""
    mac = plan.mac or names.pod_mac(plan.local.namespace, plan.local.pod, plan.local.interface)
    return Applied(plan.uid, mac, plan.mtu, plan.addresses)


def without(applied: Applied, refused: Sequence[str]) -> Applied:
    """Return what counts as applied when the pod did not take some addresses: they are given again at the next look."""
    if not refused:
        return applied
    return attrs.evolve(applied, addresses=tuple(cidr for cidr in applied.addresses if cidr not in refused))


def outstanding(before: Applied, wanted: Applied, error: RestartPod) -> str:
    """Return what an interface has not got, beside what it has, and why it cannot be given it."""
    pairs = (
        ("MTU", str(before.mtu), str(wanted.mtu)),
        ("MAC", before.mac, wanted.mac),
        ("addresses", ", ".join(before.addresses), ", ".join(wanted.addresses)),
    )
    told = (f"{what} {has or 'none'} instead of {asked or 'none'}" for what, has, asked in pairs if has != asked)
    return f"until the pod is restarted its interface has {', '.join(told)}: {error}"
