"""The CNI execution protocol, with small programs as plugins that write down how they were called."""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

import pytest

from meshnet.errors import MeshnetError
from meshnet.lab.children import Children
from meshnet.lab.cni_exec import Attachment, CniRuntime, PluginError
from meshnet.lab.network import NetworkList, find_plugin, lab_network
from meshnet.lab.plugin_process import PluginProcess

PLUGIN = """#!{python} -IS
import json, os, sys
config = json.load(sys.stdin)
with open({calls!r}, "a") as calls:
    env = {{name: value for name, value in os.environ.items() if name.startswith("CNI_")}}
    print(json.dumps({{"plugin": {name!r}, "env": env, "config": config}}), file=calls)
command = os.environ["CNI_COMMAND"]
if command == config.get("fail"):
    print(json.dumps({{"cniVersion": "1.0.0", "code": 11, "msg": "not now", "details": "really"}}))
    sys.exit(1)
if config.get("garbage"):
    print("no json")
    sys.exit(config["garbage"] - 1)
if config.get("sleep"):
    import time
    time.sleep(config["sleep"])
if command == "ADD":
    result = config.get("prevResult") or {{"cniVersion": config["cniVersion"], "interfaces": []}}
    result["interfaces"].append({{"name": {name!r}}})
    print(json.dumps(result))
"""
ATTACHMENT = Attachment("c1", "/run/netns/x", "eth0", "K8S_POD_NAME=r1")


@pytest.fixture
def children():
    children = Children()
    stop = threading.Event()

    def reap() -> None:
        while not stop.wait(0.002):
            children.reap()

    reaper = threading.Thread(target=reap)
    reaper.start()
    yield children
    stop.set()
    reaper.join()


class Bench:
    """A runtime with the plugins `a` and `b`."""

    def __init__(self, tmp_path, children) -> None:
        self.tmp_path = tmp_path
        self.children = children
        self.calls_path = tmp_path / "calls"
        for name in ("a", "b"):
            text = PLUGIN.format(python=sys.executable, calls=str(self.calls_path), name=name)
            (tmp_path / name).write_text(text)
            (tmp_path / name).chmod(0o755)

    def runtime(self, *plugins: dict[str, Any], timeout_s: float = 30) -> CniRuntime:
        programs = {name: self.tmp_path / name for name in ("a", "b")}
        network = NetworkList("net", "1.1.0", plugins or ({"type": "a"}, {"type": "b"}), programs, "/somewhere")
        process = PluginProcess(self.children, self.tmp_path / "log", timeout_s)
        return CniRuntime(network, process, {"PATH": "/usr/bin:/bin"}, self.tmp_path / "cache", again_s=0.0)

    def calls(self) -> list[tuple[str, str, dict[str, Any]]]:
        lines = self.calls_path.read_text().splitlines()
        found = [json.loads(line) for line in lines]
        return [(call["plugin"], call["env"]["CNI_COMMAND"], call["config"]) for call in found]


@pytest.fixture
def bench(tmp_path, children):
    return Bench(tmp_path, children)


def test_add_chains_results(bench):
    result = bench.runtime().add(ATTACHMENT)
    assert [each["name"] for each in result["interfaces"]] == ["a", "b"]
    (_, _, first), (_, _, second) = bench.calls()
    assert (first["name"], first["cniVersion"], first.get("prevResult")) == ("net", "1.1.0", None)
    assert second["prevResult"]["interfaces"] == [{"name": "a"}]


def test_delete_goes_in_reverse_with_the_cached_result(bench):
    runtime = bench.runtime()
    result = runtime.add(ATTACHMENT)
    runtime.delete(ATTACHMENT)
    assert [(plugin, command) for plugin, command, _ in bench.calls()] == [
        *(("a", "ADD"), ("b", "ADD"), ("b", "DEL"), ("a", "DEL"))
    ]
    assert all(config["prevResult"] == result for _, command, config in bench.calls() if command == "DEL")
    assert list((bench.tmp_path / "cache").iterdir()) == []


def test_an_answer_that_is_too_large_is_said_to_be(bench, monkeypatch):
    monkeypatch.setattr("meshnet.lab.plugin_process.LARGEST_ANSWER", 1 << 20)
    # once nobody reads, what writes ends by itself: it must not be what is killed
    (bench.tmp_path / "a").write_text("#!/bin/sh\ncat /dev/zero\nexec sleep 1000\n")
    with pytest.raises(MeshnetError, match="an answer of more than 1 MiB: killed"):
        bench.runtime({"type": "a"}).add(ATTACHMENT)


def test_failed_add_is_undone(bench):
    runtime = bench.runtime({"type": "a"}, {"type": "b", "fail": "ADD"})
    with pytest.raises(PluginError, match="plugin b: not now: really") as error:
        runtime.add(ATTACHMENT)
    assert error.value.code == 11
    assert [(plugin, command) for plugin, command, _ in bench.calls()][2:] == [("b", "DEL"), ("a", "DEL")]


def test_an_add_whose_result_cannot_be_kept_is_undone(bench):
    (bench.tmp_path / "cache").touch()
    with pytest.raises(OSError, match="File exists"):
        bench.runtime().add(ATTACHMENT)
    assert [(plugin, command) for plugin, command, _ in bench.calls()][2:] == [("b", "DEL"), ("a", "DEL")]


def test_add_is_tried_again_while_a_plugin_asks_for_it(bench):
    runtime = bench.runtime({"type": "a", "fail": "ADD"})
    patience = iter((True, True, False))
    with pytest.raises(PluginError, match="not now"):
        runtime.add(ATTACHMENT, lambda: next(patience))
    assert [command for _, command, _ in bench.calls()] == ["ADD", "DEL"] * 3


def test_add_that_failed_for_good_is_not_tried_again(bench):
    with pytest.raises(PluginError, match="no json"):
        bench.runtime({"type": "a", "garbage": 3}).add(ATTACHMENT, lambda: pytest.fail("asked"))
    assert [command for _, command, _ in bench.calls()] == ["ADD", "DEL"]


@pytest.mark.parametrize(("garbage", "code"), [(1, 6), (3, 999)], ids=["success", "failure"])
def test_answers_that_are_no_json(bench, garbage, code):
    with pytest.raises(PluginError, match="no json") as error:
        bench.runtime({"type": "a", "garbage": garbage}).add(ATTACHMENT)
    assert error.value.code == code


def test_plugin_that_hangs_is_killed(bench):
    with pytest.raises(MeshnetError, match="no answer within"):
        bench.runtime({"type": "a", "sleep": 60}, timeout_s=0.5).add(ATTACHMENT)


def test_what_could_not_be_started_leaves_no_descriptor(bench):
    runtime = bench.runtime()
    (bench.tmp_path / "log").mkdir()
    before = os.listdir("/proc/self/fd")
    for each in (runtime.add, runtime.delete):
        with pytest.raises(MeshnetError, match=r"start .*/[ab]: Is a directory \(EISDIR\): .*/log"):
            each(ATTACHMENT)
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_large_configuration_does_not_block(bench):
    runtime = bench.runtime({"type": "a", "garbage": 1, "padding": "x" * (1 << 20)})
    with pytest.raises(PluginError):
        runtime.add(ATTACHMENT)


def test_missing_program(bench):
    (bench.tmp_path / "a").unlink()
    with pytest.raises(MeshnetError, match=r"start .*/a"):
        bench.runtime().add(ATTACHMENT)


def test_network_of_a_lab(tmp_path):
    for name in ("bridge", "host-local", "meshnet"):
        (tmp_path / name).touch()
    alone = lab_network(tmp_path / "meshnet", "none", 1, tmp_path)
    assert (alone.version, [plugin["type"] for plugin in alone.plugins]) == ("1.1.0", ["meshnet"])
    behind = lab_network(tmp_path / "meshnet", "bridge", 3, tmp_path, [tmp_path])
    assert (behind.version, [plugin["type"] for plugin in behind.plugins]) == ("1.0.0", ["bridge", "meshnet"])
    assert behind.plugins[0]["ipam"]["ranges"] == [[{"subnet": "10.244.3.0/24"}]]


def test_missing_reference_plugin_names_the_places(tmp_path):
    with pytest.raises(MeshnetError, match=f"'bridge': not in {tmp_path}"):
        find_plugin("bridge", [tmp_path])
