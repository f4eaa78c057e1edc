"""What an API server lets in is what a daemon takes, and the other way round."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings

from meshnet.errors import InvalidObject
from meshnet.model.codec import decode_topology
from tests.cluster.direct import Direct
from tests.cluster.resources import namespace_for, prepared, tried
from tests.manifests import corpus
from tests.manifests.strategies import documents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.machine.api_server import ApiServer

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def api(api_server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Direct]:
    prepared(api_server)
    namespace_for(api_server)
    direct = Direct(api_server.kubeconfig, tmp_path_factory.mktemp("direct"))
    yield direct
    direct.close()


def judged(document: dict[str, Any]) -> set[str]:
    """The paths that the decoder refuses; how deep `options` are is left to the driver."""
    try:
        decode_topology(document)
    except InvalidObject as error:
        deep = "nested deeper"
        return {problem.path for problem in error.problems if deep not in problem.right}
    return set()


def around(path: str) -> set[str]:
    """A path and every field that it is in."""
    ends = [number for number, char in enumerate(path) if char in ".["]
    return {path, *(path[:end] for end in ends)}


@pytest.mark.parametrize("case", corpus.good(), ids=lambda case: case.name)
def test_good_topologies_are_let_in(api: Direct, case: corpus.Case) -> None:
    """Also by kubectl, which asks for fields that the schema does not know to be refused."""
    answer = tried(api, case.document, "Strict")

    assert answer.status == 201, answer.message


@pytest.mark.parametrize("case", corpus.bad(), ids=lambda case: case.name)
def test_bad_topologies_are_refused_where_they_are_wrong(api: Direct, case: corpus.Case) -> None:
    answer = tried(api, case.document)

    assert answer.status == 422, answer.message
    assert set(answer.fields) == case.at_server


@settings(max_examples=500, suppress_health_check=list(HealthCheck))
@given(document=documents())
def test_the_server_and_the_decoder_agree(api: Direct, document: dict[str, Any]) -> None:
    answer, paths = tried(api, document), judged(document)

    assert (answer.status == 201) == (not paths), (answer.message, paths)
    # Each has the last word on what is worth a look inside of what is wrong already.
    near = {field for path in paths for field in around(path)}
    assert all(field in near or around(field) & paths for field in answer.fields), (answer.message, paths)
