import json

from meshnet.cni.error import CniError, refusal
from meshnet.errors import MeshnetError


def test_the_object_that_libcni_reads():
    reply = refusal(7, 'a "b"\n', "0.4.0")
    assert reply[:1] == b"1"
    assert json.loads(reply[1:]) == {"cniVersion": "0.4.0", "code": 7, "msg": 'a "b"\n'}


def test_it_is_an_error_of_ours():
    assert isinstance(CniError(7, "a"), MeshnetError)
    assert str(CniError(7, "a")) == "a"
