from __future__ import annotations

import json

from meshnet.cli.checks.finding import Finding, Outcome
from meshnet.cli.cluster.check_nodes import installations, records
from meshnet.cni.install.inspect import FAILED, INSTALLED
from meshnet.stores.kubernetes.exec import Ran
from tests.cli.cluster.test_check_daemons import outcomes


def status(*parts: tuple[str, str, str]) -> Ran:
    rows = [{"part": part, "state": state, "path": "/p", "message": message} for part, state, message in parts]
    return Ran(0, json.dumps(rows).encode(), b"")


def only(findings: list[Finding]) -> Finding:
    (found,) = findings
    return found


def test_a_record_for_every_node_and_none_besides() -> None:
    assert only(records(["n1", "n2"], ["n2", "n1"], ["n1", "n2", "cp"])).told == "n1, n2"
    found = records(["n1", "gone"], ["n1", "n2"], ["n1", "n2"])
    assert outcomes(found) == {"node n2": Outcome.FAIL, "node gone": Outcome.WARN}
    assert found[1].advice == "kubectl delete meshnode gone"


def test_an_installation_is_as_its_worst_part() -> None:
    good = status(("plugin", INSTALLED, "of this version"), ("list", INSTALLED, ""))
    bad = status(("plugin", INSTALLED, ""), ("list", FAILED, "it is the first network list"))
    odd = status(("plugin", INSTALLED, ""), ("list", "remark", "sorts before"))
    found = installations({"n1": good, "n2": bad, "n3": odd}, {"n4": "no answer"})
    told = {one.about: one for one in found}
    assert outcomes(found) == dict(
        zip(
            ("node n1", "node n2", "node n3", "node n4"),
            (Outcome.OK, Outcome.FAIL, Outcome.WARN, Outcome.WARN),
            strict=True,
        )
    )
    assert told["node n1"].told == "plugin /p: installed (of this version); list /p: installed"
    assert told["node n2"].told == "list /p: failed (it is the first network list)"
    assert told["node n3"].advice == "sorts before"


def test_a_status_that_is_none_is_not_known() -> None:
    found = only(installations({"n1": Ran(2, b"", b"error: no such command\n")}, {}))
    assert (found.outcome, found.told) == (Outcome.WARN, "not known: error: no such command")
    for nothing in (b"", b"[" * 100_000, b"null", b"[]", b"{}", b'{"parts": []}', b"[1]", b'[{"part": "plugin"}]'):
        found = only(installations({"n1": Ran(0, nothing, b"")}, {}))
        assert (found.outcome, found.told) == (Outcome.WARN, f"not known: meshnet cni status says {nothing[:80]!r}")
