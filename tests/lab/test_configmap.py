"""What a ConfigMap holds, and what would be refused of it on a cluster, too."""

from __future__ import annotations

import pytest

from meshnet.lab.configmap import read_config_map
from meshnet.model.fields import Fields


def read(document):
    """Return what a ConfigMap holds, and the paths of what is wrong."""
    problems = []
    return read_config_map(Fields(document, "", problems)), [problem.path for problem in problems]


def test_binary_data_may_be_on_several_lines():
    """As `base64` prints it, and as the API server takes it."""
    found, wrong = read({"binaryData": {"a": "AAEC\nAwQF\r\n"}})
    assert (found.files, wrong) == ({"a": b"\0\1\2\3\4\5"}, [])


@pytest.mark.parametrize("text", ["AAE", "A A E =", "\u00e4"])
def test_what_is_not_base64_is_told(text):
    assert read({"binaryData": {"a": text}})[1] == ["binaryData.a"]


@pytest.mark.parametrize("key", ["a", "A-b_c.d", ".hidden", "a..b", "-", "x" * 253])
def test_keys_that_a_cluster_takes(key):
    for field, value in (("data", "x"), ("binaryData", "eA==")):
        found, wrong = read({field: {key: value}})
        assert (found.files, wrong) == ({key: b"x"}, [])


@pytest.mark.parametrize("key", [".", "..", "..a", "a/b", "a b", "a=b", "a\0", "a\n", "\u00e4", "\ud800", "x" * 254])
def test_keys_that_a_cluster_refuses(key):
    """Each would be a file's name and may be that of a variable: the kernel does not take all of them."""
    assert read({"data": {key: "x"}})[1] == [f"data.{key}"]
    assert read({"binaryData": {key: "eA=="}})[1] == [f"binaryData.{key}"]


def test_an_empty_key_is_refused():
    assert read({"data": {"": "x"}})[1] == ["data"]


def test_half_a_surrogate_pair_is_no_text():
    assert read({"data": {"a": "\ud800"}})[1] == ["data.a"]
