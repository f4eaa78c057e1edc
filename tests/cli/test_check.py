"""meshnet check: pods as the lab reads them, drivers and their options as far as they are installed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from meshnet.cli import exitcodes
from meshnet.driver.registry import Registry
from meshnet.lab import manifests
from meshnet.lab.configmap import read_config_map
from tests.cli.objects import labels, link, topology

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Machine

needs_macvlan = pytest.mark.skipif(Registry.load().find("macvlan") is None, reason="driver macvlan is not installed")
needs_veth = pytest.mark.skipif(Registry.load().find("veth") is None, reason="driver veth is not installed")

STATEFUL_SET = """\
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: r}
spec:
  replicas: many
  template:
    spec:
      containers:
      - name: c
        command: [sleep, 10]
      volumes:
      - name: v
        configMap: {name: gone}
"""


def found(machine: Machine, directory: Path, *documents: Any, code: int = exitcodes.FAILED) -> list[tuple[str, ...]]:
    path = directory / "all.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}))
    ran = machine.run("check", str(path), "-o", "json")
    assert ran.code == code, ran.out
    return [tuple(row[key] for key in ("severity", "object", "path", "message")) for row in json.loads(ran.out)]


def pair(**fields: Any) -> list[dict[str, Any]]:
    return [topology("r1", link(1, "r2", **fields)), topology("r2", link(1, "r1"))]


def external(**fields: Any) -> dict[str, Any]:
    return topology("r1", link(1, "localhost", peer_interface="eth0", **fields))


def test_a_workload_that_a_lab_refuses(machine: Machine, tmp_path: Path) -> None:
    path = tmp_path / "set.yml"
    path.write_text(STATEFUL_SET)
    ran = machine.run("check", str(path))

    assert ran.code == exitcodes.FAILED
    where = f"{path}:{{}}: error: StatefulSet default/r: spec."
    container = "template.spec.containers[0]."
    assert ran.out.splitlines() == [
        where.format(5) + "replicas: 'many': must be a whole number from 0 to 10000",
        where.format(10) + container + "command[1]: 10: must be a string (in quotes)",
        where.format(13) + "template.spec.volumes[0].configMap.name: 'gone': no ConfigMap default/gone in these files",
    ]


def test_every_pod_that_is_wrong_is_told_and_a_wrong_config_map_alone(machine: Machine, tmp_path: Path) -> None:
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"restartPolicy": "Sometimes"}}
        for name in ("r1", "r2")
    ]
    assert [row[1] for row in found(machine, tmp_path, *pods)] == ["Pod default/r1", "Pod default/r2"]
    data = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": 1}}
    assert [row[1:3] for row in found(machine, tmp_path, *pods, data)] == [("ConfigMap default/m", "data.a")]


def test_a_config_map_in_the_same_files_is_known(machine: Machine, tmp_path: Path) -> None:
    volume = {"name": "v", "configMap": {"name": "m"}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "r1"}, "spec": {"volumes": [volume]}}
    data = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": "1"}}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}
    assert found(machine, tmp_path, pod, data, service, code=exitcodes.DONE) == []


def test_a_config_map_is_not_read_again_for_each_pod(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand pods with one each took 14 seconds."""
    read: list[object] = []
    monkeypatch.setattr(manifests, "read_config_map", lambda fields: read.append(fields) or read_config_map(fields))
    pods = [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"r{number}"}, "spec": {}} for number in range(9)]
    data = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": "1"}}

    assert found(machine, tmp_path, *pods, data, code=exitcodes.DONE) == []

    assert len(read) <= 2


def test_a_driver_that_is_not_installed_is_a_warning_that_names_those_that_are(
    machine: Machine, tmp_path: Path
) -> None:
    ((severity, about, path, message),) = found(
        machine, tmp_path, *pair(driver="warp", options={"a": 1}), code=exitcodes.DONE
    )
    assert (severity, about, path) == ("warning", "Topology default/r1", "spec.links[0].driver")
    assert "'warp'" in message
    assert all(entry.name in message for entry in Registry.load().entries())


@needs_macvlan
def test_options_of_an_installed_driver_are_decoded(machine: Machine, tmp_path: Path) -> None:
    for named in ({"driver": "MACVLAN"}, {}):
        rows = found(machine, tmp_path, external(options={"mode": "fast", "speed": 1}, **named))
        assert {row[0] for row in rows} == {"error"}
        assert {row[2] for row in rows} == {"spec.links[0].options.speed", "spec.links[0].options.mode"}
    assert found(machine, tmp_path, external(options={"mode": "private"}), code=exitcodes.DONE) == []


@needs_macvlan
def test_drivers_and_options_are_judged_whatever_else_is_wrong(machine: Machine, tmp_path: Path) -> None:
    wrong = external(options={"mode": "fast"}, local_ip="10.0.0.1")
    wrong["spec"]["links"] += [
        {"peer_pod": "r2", "driver": "warp", "options": []},
        {"driver": 1, "options": {"speed": 1}},
        "text",
    ]
    rows = {row[:1] + row[2:3] for row in found(machine, tmp_path, wrong)}

    links = [f"spec.links[{index}]" for index in range(4)]
    assert rows == {
        ("error", f"{links[0]}.local_ip"),
        ("error", f"{links[0]}.options.mode"),
        *(("error", f"{links[1]}.{field}") for field in ("uid", "local_intf", "peer_intf", "options")),
        ("warning", f"{links[1]}.driver"),
        *(("error", f"{links[2]}.{field}") for field in ("uid", "peer_pod", "local_intf", "peer_intf", "driver")),
        ("error", links[3]),
    }


@needs_macvlan
@pytest.mark.parametrize("version", ["", "networkop.co.uk/v1"])
def test_they_are_judged_also_where_the_version_is_wrong(machine: Machine, tmp_path: Path, version: str) -> None:
    document = external(options={"mode": "fast"}) | {"apiVersion": version}
    rows = found(machine, tmp_path, document)
    assert {row[2] for row in rows} == {"apiVersion", "spec.links[0].options.mode"}


@needs_veth
def test_an_option_is_told_where_it_is_written(machine: Machine, tmp_path: Path) -> None:
    one, two = pair(driver="veth")
    two["spec"]["links"][0]["options"] = {"speed": 1}
    assert [row[1:3] for row in found(machine, tmp_path, one, two)] == [
        ("Topology default/r2", "spec.links[0].options.speed")
    ]


@needs_veth
def test_an_option_is_told_also_where_the_peer_has_one_whose_name_begins_it(machine: Machine, tmp_path: Path) -> None:
    one, two = pair(driver="veth")
    one["spec"]["links"][0]["options"] = {"off": 1}
    two["spec"]["links"][0]["options"] = {"offload": 3}
    assert {row[1:3] for row in found(machine, tmp_path, one, two)} == {
        ("Topology default/r1", "spec.links[0].options.off"),
        ("Topology default/r2", "spec.links[0].options.offload"),
    }


@needs_macvlan
@needs_veth
@pytest.mark.parametrize("documents", [pair(driver="macvlan"), [external(driver="veth")]], ids=["pods", "external"])
def test_a_driver_that_cannot_make_such_a_link_is_an_error(
    machine: Machine, tmp_path: Path, documents: list[dict[str, Any]]
) -> None:
    assert [row[:3] for row in found(machine, tmp_path, *documents)] == [
        ("error", "Topology default/r1", "spec.links[0].driver")
    ]


def test_an_option_that_no_driver_takes_is_told_whichever_makes_the_link(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drivers = labels("one", per_end=True), labels("other", per_end=False)
    monkeypatch.setattr(Registry, "load", lambda: Registry.of(*drivers))
    documents = pair(options={"label": "a", "lable": "b", "offload": "yes"})

    rows = found(machine, tmp_path, *documents)

    where = ("error", "Topology default/r1", "spec.links[0].options")
    assert [(*row[:2], row[2].rpartition(".")[0], row[2].rpartition(".")[2]) for row in rows] == [
        (*where, "offload"),
        (*where, "lable"),
    ]
    assert "no driver that may make this link takes it: one, other" in rows[1][3]
    assert "right would be true or false" in rows[0][3]
    assert found(machine, tmp_path, *pair(options={"label": "a", "offload": True}), code=exitcodes.DONE) == []


@pytest.mark.parametrize("named", ["own", "OWN", "shared", None])
def test_an_option_may_differ_where_the_links_own_driver_says_so(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str | None
) -> None:
    drivers = labels("own", per_end=True), labels("shared", per_end=False)
    monkeypatch.setattr(Registry, "load", lambda: Registry.of(*drivers))
    one, two = pair(options={"label": "a"}, **({"driver": named} if named else {}))
    two["spec"]["links"][0]["options"] = {"label": "b"}

    rows = found(machine, tmp_path, one, two, code=exitcodes.FAILED if named == "shared" else exitcodes.DONE)

    told = "options.label is 'b' at default/r2:eth1 and 'a' at default/r1:eth1"
    wanted = [("error", "Topology default/r2", "spec.links[0].options", told)]
    assert rows == (wanted if named == "shared" else [])


@pytest.mark.parametrize(
    ("driver", "told"),
    [
        ({}, "no driver that may make this link takes it: one, other"),
        ({"driver": "other"}, "driver other has no such option"),
        ({"driver": "warp"}, None),
    ],
)
def test_an_option_that_no_driver_takes_is_told_also_where_the_ends_differ_in_something_else(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, driver: dict[str, str], told: str | None
) -> None:
    drivers = labels("one", per_end=True), labels("other", per_end=False)
    monkeypatch.setattr(Registry, "load", lambda: Registry.of(*drivers))
    one, two = pair(mtu=1400, **driver)
    two["spec"]["links"][0] |= {"mtu": 1500, "options": {"bogus": 1}}

    rows = found(machine, tmp_path, one, two)

    assert any("mtu" in row[3] for row in rows)
    bogus = [row[3].partition(": ")[2] for row in rows if row[2].endswith(".bogus")]
    assert [message.partition(";")[0] for message in bogus] == ([told] if told else [])


def test_a_file_that_is_no_text_hides_nothing_of_the_others(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(STATEFUL_SET, encoding="utf-16")
    (tmp_path / "b.yml").write_text(STATEFUL_SET)
    ran = machine.run("check", str(tmp_path))

    assert ran.code == exitcodes.FAILED
    assert "a.yml:1: error: not text: must be UTF-8" in ran.out
    assert "b.yml:5: error: StatefulSet default/r: spec.replicas" in ran.out


def test_a_driver_that_is_not_installed_may_be_written_in_any_case(machine: Machine, tmp_path: Path) -> None:
    one, two = pair(driver="warp")
    two["spec"]["links"][0]["driver"] = "WARP"
    assert {row[0] for row in found(machine, tmp_path, one, two, code=exitcodes.DONE)} == {"warning"}
