import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshnet.cni.error import CniError
from meshnet.cni.request import COMMANDS, parse_request
from meshnet.cni.versions import SUPPORTED

ENV = {
    "CNI_COMMAND": "ADD",
    "CNI_CONTAINERID": "c1",
    "CNI_NETNS": "/run/netns/c1",
    "CNI_IFNAME": "eth0",
    "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAME=r1;K8S_POD_NAMESPACE=default",
}
CONFIG = {"cniVersion": "1.1.0", "name": "net", "type": "meshnet"}


def call(env=None, config=None, **extra):
    return parse_request(ENV | (env or {}), json.dumps(CONFIG | (config or {}) | extra).encode())


def refused(env=None, config=None):
    with pytest.raises(CniError) as caught:
        call(env, config)
    return caught.value


def test_an_add_as_a_runtime_makes_it():
    request = call(prevResult={"cniVersion": "1.1.0", "interfaces": [{"name": "eth0"}]})
    assert (request.command, request.container_id, request.ifname) == ("ADD", "c1", "eth0")
    assert (request.args.pod_namespace, request.args.pod_name) == ("default", "r1")
    assert request.config.prev_result == {"cniVersion": "1.1.0", "interfaces": [{"name": "eth0"}]}


@pytest.mark.parametrize("command", ["ADD", "CHECK", "DEL"])
@pytest.mark.parametrize("name", ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"])
def test_what_a_command_needs(command, name):
    if (command, name) == ("DEL", "CNI_NETNS"):
        assert call({"CNI_COMMAND": "DEL", "CNI_NETNS": ""}).netns == ""
        return
    error = refused({"CNI_COMMAND": command, name: ""})
    assert error.code == 4
    assert name in error.msg


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CNI_COMMAND", ""),
        ("CNI_COMMAND", "add"),
        ("CNI_COMMAND", "STATUS"),  # the plugin answers it
        ("CNI_CONTAINERID", "../c1"),
        ("CNI_CONTAINERID", ".c1"),
        ("CNI_CONTAINERID", "c1\n"),
        ("CNI_CONTAINERID", "cé"),
        ("CNI_CONTAINERID", "c" * 201),
        ("CNI_NETNS", "run/netns/c1"),
        ("CNI_IFNAME", "a" * 16),
        ("CNI_IFNAME", "é" * 8),
        ("CNI_IFNAME", ".."),
        ("CNI_IFNAME", "a/b"),
        ("CNI_IFNAME", "a:b"),
        ("CNI_IFNAME", "a b"),
        ("CNI_IFNAME", "a\N{NO-BREAK SPACE}b"),
        ("CNI_IFNAME", "a\udcff"),
        ("CNI_ARGS", "X=1"),
    ],
)
def test_a_wrong_variable_is_error_4_and_named(name, value):
    error = refused({name: value})
    assert error.code == 4
    assert name in error.msg


@pytest.mark.parametrize("value", ["eth0", "a" * 15, "é" * 7, "veth0.100", "-"])
def test_interface_names_that_the_kernel_takes(value):
    assert call({"CNI_IFNAME": value}).ifname == value


def test_nothing_in_the_arguments_keeps_a_pod_from_going():
    assert call({"CNI_COMMAND": "DEL", "CNI_ARGS": "broken"}).args.pod_name == ""


def test_gc_needs_no_attachment():
    config = json.dumps(CONFIG | {"cni.dev/valid-attachments": []}).encode()
    assert parse_request({"CNI_COMMAND": "GC"}, config).config.valid_attachments == frozenset()
    assert call(**{"cni.dev/valid-attachments": []}).config.valid_attachments is None


def test_the_environment_is_looked_at_before_the_configuration():
    with pytest.raises(CniError) as caught:
        parse_request(ENV | {"CNI_IFNAME": ""}, b"garbage")
    assert caught.value.code == 4


@given(
    st.dictionaries(st.sampled_from([*ENV, "CNI_PATH"]), st.text(max_size=40)),
    st.sampled_from(["", *COMMANDS, "x"]),
    st.binary(max_size=200),
)
def test_any_bytes_are_a_request_or_a_cni_error(env, command, stdin):
    answer(env | {"CNI_COMMAND": command}, stdin)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
CONFIG_KEYS = ("cniVersion", "name", "type", "prevResult", "resultAddresses", "cni.dev/valid-attachments")


@given(st.sampled_from(COMMANDS), st.dictionaries(st.sampled_from(CONFIG_KEYS), json_values), st.data())
def test_any_configuration_is_a_request_or_a_cni_error(command, config, data):
    config = config | data.draw(st.sampled_from([{}, {"name": "net"}, {"name": "net", "cniVersion": "1.1.0"}]))
    config = config | data.draw(
        st.sampled_from([{}, {"prevResult": {"interfaces": data.draw(json_values), "ips": data.draw(json_values)}}])
    )
    answer(ENV | {"CNI_COMMAND": command}, json.dumps(config).encode())


def answer(env, stdin):
    try:
        request = parse_request(env, stdin)
    except CniError as error:
        refusal = error
    else:
        assert request.command in COMMANDS
        assert request.config.version in SUPPORTED
        return
    assert refusal.code in {1, 4, 6, 7}
    assert refusal.msg
