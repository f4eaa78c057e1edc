"""A node's key and certificate are replaced under a live link: no pod notices, and who has the old key is nobody."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import pytest

from tests.lab.scenarios.lab import PROGRAMS, eventually
from tests.lab.scenarios.nodes import DRIVERS, bring_up
from tests.lab.scenarios.test_nodes_intruders import STATE, intrude
from tests.lab.scenarios.watching import events, flooding
from tests.lab.scenarios.wiring import Cable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.lab.scenarios.elsewhere import Venv
    from tests.lab.scenarios.lab import Lab
    from tests.lab.scenarios.watching import Outcome

WIRE = Cable(1, "r1:eth1", "r2:eth1")
PLACE = {"r1": "n1", "r2": "n2"}
IDENTITY = STATE.format("n1")
OLD = "/run/old"
"""Where somebody keeps what n1 was."""
STEP_S = 601
"""What is published is used, and what was used goes, after ten minutes."""

pytestmark = pytest.mark.parametrize("driver", DRIVERS)


def published(lab: Lab) -> list[str]:
    """Return the certificates of n1's record."""
    text = (PROGRAMS / "record.py").read_text()
    return list(json.loads(lab.exec("n1", lab.python, "-c", text, "n1")))


def shown(lab: Lab) -> str:
    """Return the certificate that n1 shows others."""
    text = lab.in_box(f"cat {IDENTITY}/current.pem")
    return text[text.index("-----BEGIN CERTIFICATE") :]


def taken(lab: Lab, identity: str) -> bool:
    """Tell whether n2 takes who has that key for n1; what it says of the stream is another thing."""
    return bool(intrude(lab, "n1", identity, "n1")["code"] != "UNAVAILABLE")


def copied(lab: Lab) -> str:
    """Have n1's key and certificate stolen; return the certificate."""
    lab.in_box(f"mkdir {OLD}; cp -p {IDENTITY}/current.pem {OLD}")
    return shown(lab)


def sessions_live(lab: Lab) -> bool:
    """Tell whether both nodes hear each other."""
    contacts = [peer["contact"] for node in lab.get("nodes") for peer in node["peers"].values()]
    return contacts == ["live", "live"]


@contextlib.contextmanager
def carriers_stay(lab: Lab, directory: Path) -> Iterator[None]:
    """Nothing happens to either end's interface during the ``with``."""
    with events(lab, "r1", directory) as near, events(lab, "r2", directory) as far:
        yield
        assert all(lab.pings(pod, address) for pod, address in zip(("r2", "r1"), WIRE.addresses, strict=True))
    assert [event for watch in (near, far) for event in watch.all() if event["kind"] != "started"] == []


@contextlib.contextmanager
def pinging(lab: Lab) -> Iterator[tuple[Outcome, Outcome]]:
    """Ping from both ends without a pause."""
    with flooding(lab, "r1", WIRE.addresses[1]) as there, flooding(lab, "r2", WIRE.addresses[0]) as back:
        yield there, back


def test_a_renewal_loses_no_ping_and_the_old_certificate_is_refused_when_it_is_done(
    there: Lab, elsewhere: Venv, tmp_path: Path, driver: str
) -> None:
    with_a_clock_ahead(elsewhere)
    bring_up(there, tmp_path, [WIRE], PLACE, driver)
    old = copied(there)
    is_of_age(there)
    eventually(lambda: len(published(there)) == 2, "the next one is published")
    (same, new) = published(there)
    assert same == old == shown(there)

    with carriers_stay(there, tmp_path), pinging(there) as pings:
        clock_is_ahead(there, STEP_S)
        eventually(lambda: published(there) == [new, old], "the next one is used, the old one published still")
        assert shown(there) == new
        assert sessions_live(there)
        clock_is_ahead(there, 2 * STEP_S)
        eventually(lambda: published(there) == [new], "the old one is gone")
        assert sessions_live(there)
    assert [outcome.lost for outcome in pings] == [0, 0]
    # calls that go by a certificate end with its pin, and that is counted: all had gone over
    assert not any("PinRemoved" in node["refused"] for node in there.get("nodes"))
    assert not taken(there, OLD)
    assert taken(there, IDENTITY)


def test_a_new_identity_takes_no_carrier_and_the_old_one_is_refused_at_once(
    lab: Lab, tmp_path: Path, driver: str
) -> None:
    bring_up(lab, tmp_path, [WIRE], PLACE, driver)
    old = copied(lab)
    assert published(lab) == [old]

    with carriers_stay(lab, tmp_path):
        with pinging(lab) as pings:
            lab.run("lab", "node", "n1", "stop")
            lab.in_box(f"rm {IDENTITY}/current.pem")
            lab.run("lab", "node", "n1", "start")
            eventually(lambda: published(lab) not in ([], [old]), "another certificate is published")
            eventually(lambda: sessions_live(lab), "the nodes hear each other")
            lab.wait("up")
        if driver == "vxlan":
            assert [outcome.lost for outcome in pings] == [0, 0]
    assert published(lab) == [shown(lab)]
    assert not taken(lab, OLD)
    assert taken(lab, IDENTITY)


def with_a_clock_ahead(elsewhere: Venv) -> None:
    """Have daemons that run from an environment go by a clock that can be put ahead."""
    (elsewhere.site / "ahead.py").write_text((PROGRAMS / "ahead.py").read_text())
    (elsewhere.site / "then.pth").write_text("import sys; sys.orig_argv[-1] == 'daemon' and __import__('ahead')\n")


def clock_is_ahead(lab: Lab, seconds: int) -> None:
    lab.in_box(f"echo {seconds} > /run/ahead.new; mv /run/ahead.new /run/ahead")


def is_of_age(lab: Lab) -> None:
    """Make n1's certificate as old as one is that is renewed; its daemon reads that when it starts."""
    lab.run("lab", "node", "n1", "stop")
    lab.in_box(f"sed -i \"s/^Made: .*/Made: $(date -d '-91 days' +%s)/\" {IDENTITY}/current.pem")
    lab.run("lab", "node", "n1", "start")
    lab.wait("up")
