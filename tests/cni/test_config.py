import json

import pytest

from meshnet.cni.config import declared_version, parse_config
from meshnet.cni.error import CniError
from meshnet.cni.versions import SUPPORTED

CONFIG = {"cniVersion": "1.1.0", "name": "net", "type": "meshnet"}
ATTACHMENTS = "cni.dev/valid-attachments"


def parse(command="ADD", **changes):
    config = {key: value for key, value in (CONFIG | changes).items() if value is not ...}
    return parse_config(command, json.dumps(config).encode())


def refused(command="ADD", **changes):
    with pytest.raises(CniError) as caught:
        parse(command, **changes)
    return caught.value


@pytest.mark.parametrize("version", SUPPORTED)
def test_every_version_is_spoken(version):
    assert parse(cniVersion=version).version == version


@pytest.mark.parametrize("version", [..., None, ""])
def test_no_version_is_the_oldest(version):
    assert parse(cniVersion=version).version == "0.1.0"


@pytest.mark.parametrize("version", ["0.5.0", "1.2.0", "2.0.0", "x", "1.1.0 "])
def test_a_version_not_spoken_is_error_1_and_named(version):
    error = refused(cniVersion=version)
    assert error.code == 1
    assert json.dumps(version) in error.msg
    assert "1.1.0" in error.msg


def test_a_version_that_is_no_string_cannot_be_decoded():
    assert refused(cniVersion=1).code == 6


@pytest.mark.parametrize("version", SUPPORTED)
@pytest.mark.parametrize(("command", "since"), [("CHECK", "0.4.0"), ("GC", "1.1.0")])
def test_commands_that_a_version_does_not_know(version, command, since):
    if SUPPORTED.index(version) >= SUPPORTED.index(since):
        assert parse(command, cniVersion=version, **{ATTACHMENTS: []}).version == version
        return
    error = refused(command, cniVersion=version, **{ATTACHMENTS: []})
    assert error.code == 1
    assert f"{command} needs cniVersion {since}" in error.msg


@pytest.mark.parametrize("stdin", [b"", b"x", b"[]", b"null", b'"x"', b"{", b'{"name": NaN}', b"\xff{}", b"{}{}"])
def test_what_is_no_object_is_error_6(stdin):
    with pytest.raises(CniError) as caught:
        parse_config("ADD", stdin)
    assert caught.value.code == 6


@pytest.mark.parametrize(
    ("changes", "path", "value"),
    [
        ({"name": ...}, "name", '""'),
        ({"name": None}, "name", '""'),
        ({"name": "a/b"}, "name", '"a/b"'),
        ({"name": "-a"}, "name", '"-a"'),
        ({"name": 7}, "name", "7"),
        ({"type": []}, "type", "[]"),
        ({"resultAddresses": "yes"}, "resultAddresses", '"yes"'),
        ({"resultAddresses": 1}, "resultAddresses", "1"),
        ({"resultAddresses": None}, "resultAddresses", "null"),
        ({"prevResult": []}, "prevResult", "[]"),
        ({"prevResult": {"interfaces": {}}}, "prevResult.interfaces", None),
        ({"prevResult": {"interfaces": {"a": 1}}}, "prevResult.interfaces", '{"a": 1}'),
        ({"prevResult": {"interfaces": [{}, 4]}}, "prevResult.interfaces[1]", "4"),
        ({"prevResult": {"interfaces": [{"name": ["x"]}]}}, "prevResult.interfaces[0].name", '["x"]'),
        ({"prevResult": {"interfaces": [{"sandbox": {}}]}}, "prevResult.interfaces[0].sandbox", "{}"),
        ({"prevResult": {"ips": "10.0.0.1/24"}}, "prevResult.ips", '"10.0.0.1/24"'),
        ({"prevResult": {"ips": ["10.0.0.1/24"]}}, "prevResult.ips[0]", '"10.0.0.1/24"'),
    ],
)
def test_what_is_wrong_is_error_7_with_path_and_value(changes, path, value):
    if value is None:
        assert parse(**changes).prev_result == changes["prevResult"]  # empty of the wrong kind: as good as absent
        return
    error = refused(**changes)
    assert error.code == 7
    assert f"network configuration: {path}: {value}: " in error.msg


@pytest.mark.parametrize("version", ["9.9.9", 3, ["1.0.0"]])
def test_a_previous_result_in_a_version_not_spoken(version):
    error = refused(prevResult={"cniVersion": version})
    assert error.code == 1
    assert "prevResult.cniVersion" in error.msg


@pytest.mark.parametrize("prev", [[], "x", {"cniVersion": "9"}, {"interfaces": 3}])
def test_no_previous_result_keeps_a_pod_from_going(prev):
    parse("DEL", prevResult=prev)


def test_what_add_alone_needs_keeps_no_pod_from_going():
    assert parse("DEL", resultAddresses="yes").result_addresses is False


def test_gc_keeps_what_the_list_names():
    entries = [{"containerID": "a", "ifname": "eth0"}, {"containerID": "b", "ifname": "net1"}]
    assert parse("GC", **{ATTACHMENTS: entries}).valid_attachments == {("a", "eth0"), ("b", "net1")}


def test_gc_reads_the_list_under_its_first_name_too():
    entries = [{"containerID": "a", "ifname": "eth0"}]
    assert parse("GC", **{"cni.dev/attachments": entries}).valid_attachments == {("a", "eth0")}


def test_an_empty_list_written_by_go_is_null():
    assert parse("GC", **{ATTACHMENTS: None}).valid_attachments == frozenset()


def test_gc_without_its_list_is_refused_rather_than_taken_for_nothing_valid():
    error = refused("GC")
    assert error.code == 7
    assert ATTACHMENTS in error.msg


@pytest.mark.parametrize(
    ("entries", "path"),
    [
        ({}, ATTACHMENTS),
        ("x", ATTACHMENTS),
        (["x"], f"{ATTACHMENTS}[0]"),
        ([{"containerID": "a", "ifname": "eth0"}, {"containerID": "a"}], f"{ATTACHMENTS}[1]"),
        ([{"containerID": 1, "ifname": "eth0"}], f"{ATTACHMENTS}[0]"),
    ],
)
def test_a_wrong_attachment_is_named(entries, path):
    error = refused("GC", **{ATTACHMENTS: entries})
    assert error.code == 7
    assert f" {path}: " in error.msg


@pytest.mark.parametrize(
    ("stdin", "version"),
    [
        (b'{"cniVersion": "0.4.0", "name": 7}', "0.4.0"),
        (b'{"name": "net"}', "0.1.0"),
        (b'{"cniVersion": "9"}', "1.1.0"),
        (b'{"cniVersion": [1]}', "1.1.0"),
        (b"garbage", "1.1.0"),
    ],
)
def test_the_version_to_answer_in_is_found_in_what_is_wrong(stdin, version):
    assert declared_version(stdin) == version
