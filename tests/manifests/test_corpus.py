"""What is right and what is wrong, by `meshnet check`; tests/cluster/test_crd.py asks an API server the same."""

import pytest

from meshnet.errors import InvalidObject
from meshnet.model.check import check
from meshnet.model.codec import decode_topology
from meshnet.model.documents import read_documents
from meshnet.model.finding import Severity
from tests.manifests import corpus


def errors(name):
    """The paths of all errors that `meshnet check` finds in a file, by object."""
    findings = check(read_documents((corpus.HERE / name).read_text(), name))
    found = {}
    for finding in findings:
        if finding.severity is Severity.ERROR:
            found.setdefault(finding.object.rpartition("/")[2], set()).add(finding.path)
    return found


def test_check_finds_nothing_wrong_with_the_good_ones():
    assert errors("good.yml") == {}
    assert len(corpus.good()) > 10


def test_check_finds_each_mistake_where_it_is():
    assert errors("bad.yml") == {case.name: case.paths for case in corpus.bad()}
    assert len(corpus.bad()) > 60


@pytest.mark.parametrize("case", [*corpus.good(), *corpus.bad()], ids=lambda case: case.name)
def test_the_decoder_says_the_same(case):
    found = set()
    try:
        decode_topology(case.document)
    except InvalidObject as error:
        found = {problem.path for problem in error.problems}

    assert found == case.paths
