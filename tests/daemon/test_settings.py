"""Settings: each wrong value is named, all of them at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from meshnet.cni.install.names import Places
from meshnet.daemon.settings import Settings, read_file
from meshnet.driver.api import Scope
from meshnet.errors import InvalidObject

GOOD = {"NODE_NAME": "n1"}


def test_who_names_a_node_alone_has_the_defaults():
    settings = Settings.read(GOOD)

    assert settings.run_dir == Path("/run/meshnet")
    assert settings.state_dir == Path("/var/lib/meshnet")
    assert settings.socket == Path("/run/meshnet/meshnetd.sock")
    assert settings.store == "sqlite:/var/lib/meshnet/store.db"
    assert (settings.node, settings.node_ip, settings.pass_s) == ("n1", "", 60.0)
    assert (settings.log_level, settings.log_format, settings.prefer) == ("info", "text", {})


def test_everything_given():
    settings = Settings.read(
        {
            "NODE_NAME": "node-1.example",
            "HOST_IP": "2001:DB8::1",
            "MESHNET_RUN_DIR": "/tmp/run",
            "MESHNET_STATE_DIR": "/tmp/state",
            "MESHNET_SOCKET": "/tmp/s.sock",
            "MESHNET_STORE": "memory:",
            "MESHNET_PREFER_SAME_NODE": "veth",
            "MESHNET_PREFER_BETWEEN_NODES": "vxlan",
            "MESHNET_PREFER_EXTERNAL": "macvlan",
            "MESHNET_PASS_SECONDS": "0.5",
            "MESHNET_LOG_LEVEL": "DEBUG",
            "MESHNET_LOG_FORMAT": "json",
        }
    )

    assert (settings.node, settings.node_ip) == ("node-1.example", "2001:db8::1")
    assert (settings.run_dir, settings.state_dir, settings.socket) == (
        Path("/tmp/run"),
        Path("/tmp/state"),
        Path("/tmp/s.sock"),
    )
    assert settings.prefer == {Scope.SAME_NODE: "veth", Scope.BETWEEN_NODES: "vxlan", Scope.EXTERNAL: "macvlan"}
    assert (settings.store, settings.pass_s) == ("memory:", 0.5)
    assert (settings.log_level, settings.log_format) == ("debug", "json")


def test_the_interface_may_be_named_by_upstreams_word():
    assert Settings.read({"HOST_INTF": "eth1", "HOST_IP": "192.0.2.1"}).underlay_interface == "eth1"


def test_our_words_go_before_upstreams():
    words = {"MESHNET_UNDERLAY_INTERFACE": "eth1", "HOST_INTF": "eth2"}
    assert Settings.read(words).underlay_interface == "eth1"
    words = {"MESHNET_PREFER_BETWEEN_NODES": "vxlan", "INTER_NODE_LINK_TYPE": "GRPC"}
    assert Settings.read(words).prefer == {Scope.BETWEEN_NODES: "vxlan"}


def test_the_plugin_is_installed_only_where_that_is_said():
    both = {"MESHNET_CNI_BIN_DIR": "/opt/cni/bin", "MESHNET_CNI_CONF_DIR": "/etc/cni/net.d"}

    assert Settings.read(GOOD).cni is None
    assert Settings.read(GOOD | both).cni == Places(Path("/opt/cni/bin"), Path("/etc/cni/net.d"))
    for name, value in both.items():
        with pytest.raises(InvalidObject, match=f"{name}: .* or neither"):
            Settings.read(GOOD | {name: value})
    with pytest.raises(InvalidObject, match="MESHNET_CNI_BIN_DIR: 'bin': an absolute path"):
        Settings.read(GOOD | both | {"MESHNET_CNI_BIN_DIR": "bin"})


def test_socket_and_store_follow_their_directories():
    settings = Settings.read(GOOD | {"MESHNET_RUN_DIR": "/a", "MESHNET_STATE_DIR": "/b"})
    assert (str(settings.socket), settings.store) == ("/a/meshnetd.sock", "sqlite:/b/store.db")


def test_a_run_directory_whose_socket_would_have_too_long_a_path_is_named():
    longest = f"/{'é' * 46}"
    assert len(os.fsencode(Settings.read(GOOD | {"MESHNET_RUN_DIR": longest}).socket)) == 107

    with pytest.raises(InvalidObject) as caught:
        Settings.read(GOOD | {"MESHNET_RUN_DIR": f"{longest}x"})
    assert str(caught.value) == (
        f"settings: MESHNET_RUN_DIR: '{longest}x': a path of at most 93 bytes, or MESHNET_SOCKET for a socket elsewhere"
    )
    assert Settings.read(GOOD | {"MESHNET_RUN_DIR": f"{longest}x", "MESHNET_SOCKET": "/s"}).socket == Path("/s")


def test_in_a_pod_the_store_is_the_clusters():
    pod = {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}
    assert Settings.read(GOOD | pod).store == "kubernetes:"
    assert Settings.read(GOOD | pod | {"MESHNET_STORE": "memory:"}).store == "memory:"


def test_empty_counts_as_absent():
    names = ("HOST_IP", "MESHNET_RUN_DIR", "MESHNET_PASS_SECONDS", "MESHNET_LOG_LEVEL", "MESHNET_PREFER_EXTERNAL")
    assert Settings.read(GOOD | dict.fromkeys(names, "")) == Settings.read(GOOD)


def test_the_hosts_name_is_the_nodes(monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "HOST.Example")
    assert Settings.read({}).node == "host.example"


WRONG = [
    ("NODE_NAME", "Upper_Case", "a node's name"),
    ("NODE_NAME", "-dash", "a node's name"),
    ("NODE_NAME", "a" * 300, "a node's name"),
    ("NODE_NAME", "n1..example", "between dots"),
    ("NODE_NAME", "n1.-example", "between dots"),
    ("NODE_NAME", "n1\n", "a node's name"),
    ("HOST_IP", "10.0.0.256", "an IP address"),
    ("HOST_IP", "10.0.0.1/24", "an IP address"),
    ("MESHNET_RUN_DIR", "run", "an absolute path"),
    ("MESHNET_STATE_DIR", "state/of", "an absolute path"),
    ("MESHNET_SOCKET", "sock", "an absolute path"),
    ("MESHNET_SOCKET", f"/{'s' * 107}", "a path of at most 107 bytes"),
    ("MESHNET_PORT", "65536", "a whole number, 1 to 65535"),
    ("MESHNET_PORT", "5" * 5000, "a whole number, 1 to 65535"),
    ("MESHNET_PASS_SECONDS", "0", "seconds, 0.1 to 86400"),
    ("MESHNET_PASS_SECONDS", "-1", "seconds, 0.1 to 86400"),
    ("MESHNET_PASS_SECONDS", "nan", "seconds, 0.1 to 86400"),
    ("MESHNET_PASS_SECONDS", "inf", "seconds, 0.1 to 86400"),
    ("MESHNET_PASS_SECONDS", "often", "seconds, 0.1 to 86400"),
    ("MESHNET_LOG_LEVEL", "loud", "one of info, debug, warning, error"),
    ("MESHNET_LOG_FORMAT", "xml", "one of text, json"),
]


@pytest.mark.parametrize(("name", "value", "right"), WRONG)
def test_a_wrong_value_is_named_with_what_is_right(name, value, right):
    with pytest.raises(InvalidObject) as caught:
        Settings.read(GOOD | {name: value})

    (problem,) = caught.value.problems
    assert (problem.path, str(problem.value)) == (name, value)
    assert right in problem.right


def test_all_that_is_wrong_is_named_at_once():
    wrong = {name: value for name, value, _ in WRONG}
    with pytest.raises(InvalidObject) as caught:
        Settings.read(wrong)

    assert {problem.path for problem in caught.value.problems} == set(wrong)


def test_a_file_has_a_setting_a_line(tmp_path):
    path = tmp_path / "daemon.conf"
    path.write_text("# comment\n\n NODE_NAME = n7 \nMESHNET_STORE=sqlite:/a?synchronous=full\nHOST_IP=\n")

    assert read_file(path) == {"NODE_NAME": "n7", "MESHNET_STORE": "sqlite:/a?synchronous=full", "HOST_IP": ""}


def test_a_wrong_file_names_every_line(tmp_path):
    path = tmp_path / "daemon.conf"
    path.write_text("NODE_NAME=n1\nnonsense\n=x\nMESHNET_RUN_DIR=/a\0b\n")

    with pytest.raises(InvalidObject) as caught:
        read_file(path)
    assert [problem.path for problem in caught.value.problems] == ["line 2", "line 3", "line 4"]
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["export NODE_NAME", "\ufeffNODE_NAME", "NODE-NAME"])
def test_what_can_be_no_settings_name_is_not_passed_over(tmp_path, name):
    path = tmp_path / "daemon.conf"
    path.write_text(f"{name}=n7\n", encoding="utf-8")

    with pytest.raises(InvalidObject, match=r"line 1: .*NODE.NAME=n7.*: NAME=VALUE"):
        read_file(path)


def test_the_daemon_says_what_is_wrong_and_does_not_start(tmp_path):
    config = tmp_path / "daemon.conf"
    config.write_text("MESHNET_LOG_LEVEL=loud\nHOST_IP=10.0.0.1\n")
    environ = {key: value for key, value in os.environ.items() if not key.startswith("MESHNET_")}
    command = [sys.executable, "-m", "meshnet", "daemon", "--config", str(config)]
    done = subprocess.run(
        command,
        env=environ | {"NODE_NAME": "No!", "HOST_IP": "x"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode not in (0, -9)
    for name in ("NODE_NAME", "HOST_IP", "MESHNET_LOG_LEVEL"):
        assert name in done.stderr
    assert "Traceback" not in done.stderr
