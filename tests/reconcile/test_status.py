"""How a link is told in the status, from what its ends are."""

from __future__ import annotations

from typing import Any

from meshnet.dispatch.resolve import Plan
from meshnet.model.topology import Endpoint
from meshnet.reconcile.state import Applied, End, Joint, Sandbox, SandboxKey
from meshnet.reconcile.status import link_state

LOCAL = Endpoint("default", "r1", "eth1")
PEER = Endpoint("default", "r2", "eth1")


def end(peer: Endpoint | None, joint: Joint | None = None, **plan: Any) -> End:
    key = SandboxKey("meshnet", "c1", "eth0")
    sandbox = Sandbox(key, "default", "r1", "", "/run/netns/c1", (0, 0), epoch=1)
    applied = Applied(1, "02:00:00:00:00:01", 1500, ())
    parent = None if peer else "eth0"
    wanted = Plan(local=LOCAL, peer=peer, parent=parent, uid=1, mtu=1500, addresses=(), mac=None, **plan)
    return End(LOCAL, sandbox, applied, plan=wanted, joint=joint)


def test_an_end_whose_peer_is_not_patched_to_it_waits_for_the_peer() -> None:
    assert link_state(end(PEER, Joint(PEER, 1)), None)[:2] == ("Pending", "PeerNotPatched")


def test_an_external_end_has_no_peer_to_wait_for() -> None:
    state, reason, message = link_state(end(None), None)
    assert (state, reason) == ("Pending", "NotPatched")
    assert "peer" not in message


def test_an_external_end_is_up_by_itself() -> None:
    assert link_state(end(None, Joint(None, 0)), None) == ("Up", "", "")


def test_an_unplugged_end_is_down() -> None:
    assert link_state(end(None, Joint(None, 0), down=True), None)[:2] == ("Down", "Unplugged")
