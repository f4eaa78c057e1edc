import json

import pytest

from meshnet.cni.error import CniError, error_json
from meshnet.errors import MeshnetError


def test_the_object_that_libcni_reads():
    assert json.loads(error_json(CniError(7, 'a "b"\n'), "0.4.0")) == {
        "cniVersion": "0.4.0",
        "code": 7,
        "msg": 'a "b"\n',
    }


@pytest.mark.parametrize("version", ["", "9.9.9", '"'])
def test_a_version_not_spoken_is_answered_in_the_latest(version):
    assert json.loads(error_json(CniError(1, "no"), version))["cniVersion"] == "1.1.0"


def test_it_is_an_error_of_ours():
    assert isinstance(CniError(7, "a"), MeshnetError)
    assert str(CniError(7, "a")) == "a"
