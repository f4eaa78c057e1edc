from __future__ import annotations

from typing import Any

from meshnet import __version__
from meshnet.cli.ask import Answers
from meshnet.cli.checks.finding import Finding, Outcome
from meshnet.cli.cluster.check_daemons import pods_of, versions
from meshnet.cli.cluster.pods import daemon_pods
from tests.cli.cluster.test_pods import RUNNING, pod


def health(version: str = __version__, synced: bool = True) -> dict[str, Any]:
    return {"version": version, "synced": synced}


def outcomes(findings: list[Finding]) -> dict[str, Outcome]:
    assert all(bool(found.advice) == (found.outcome is not Outcome.OK) for found in findings)
    return {found.about: found.outcome for found in findings}


def test_daemons_of_this_version_are_fine() -> None:
    (found,) = versions(Answers({"n2": health(), "n1": health()}))
    assert (found.outcome, found.told) == (Outcome.OK, f"{__version__} on n1, n2")


def test_several_versions_are_told_with_their_nodes() -> None:
    (found,) = versions(Answers({"n1": health("0.0.1"), "n2": health(), "n3": health("0.0.1")}))
    assert (found.outcome, found.told) == (Outcome.WARN, f"0.0.1 on n1, n3; {__version__} on n2")
    assert __version__ in found.advice


def test_daemons_that_do_not_answer_or_have_not_read_the_store_fail() -> None:
    found = versions(Answers({"n1": health(synced=False)}, {"n2": "pod meshnet/x: Pending"}))
    assert outcomes(found) == {"node n1": Outcome.FAIL, "node n2": Outcome.FAIL, "versions": Outcome.OK}
    (trouble,) = versions(Answers(trouble="may not list pods"))
    assert (trouble.outcome, trouble.told) == (Outcome.WARN, "not known: may not list pods")


def test_every_node_has_a_pod_that_is_ready() -> None:
    waiting = pod("b", "n2", state={"waiting": {"reason": "ErrImagePull"}})
    pods = daemon_pods([pod("a", "n1", **RUNNING), waiting])
    assert outcomes(pods_of(pods, ["n1"])) == {"node n2": Outcome.FAIL}
    assert outcomes(pods_of(pods, ["n1", "n2", "n3"])) == {"node n2": Outcome.FAIL, "node n3": Outcome.FAIL}
    assert pods_of(daemon_pods([pod("a", "n1", **RUNNING)]), ["n1"]) == []
