"""Kubernetes documents become topologies and pods; what has no meaning here is said."""

from __future__ import annotations

from typing import Any

import pytest

from meshnet.errors import InvalidObject
from meshnet.lab.manifests import read_manifests


def pod(name: str = "r1", **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def container(**fields: Any) -> dict[str, Any]:
    return {"name": "main", "image": "alpine", **fields}


def only(*documents: dict[str, Any]) -> Any:
    pods = read_manifests(documents).pods
    assert len(pods) == 1
    return pods[0]


def problems(*documents: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidObject) as error:
        read_manifests(documents)
    return [problem.path for problem in error.value.problems]


def test_pod_without_a_command_has_nothing_to_run():
    found = only(pod(containers=[container()]))
    assert (found.namespace, found.name, found.hostname, found.node) == ("default", "r1", "r1", None)
    assert found.commands == ()


def test_command_and_arguments_are_expanded_with_the_environment():
    env = [
        {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "HELLO", "value": "hello $(WHO)"},
    ]
    found = only(pod(containers=[container(command=["echo", "$(HELLO)"], args=["$(NOBODY)", "$$(WHO)"], env=env)]))
    assert found.commands[0].argv == ("echo", "hello r1", "$(NOBODY)", "$(WHO)")
    assert found.commands[0].env == {"WHO": "r1", "HELLO": "hello r1"}


def test_arguments_of_an_image_are_not_run_and_that_is_said():
    found = read_manifests([pod(containers=[container(args=["-v"])])])
    assert found.pods[0].commands == ()
    assert any("args" in note for note in found.notes)


@pytest.mark.parametrize("command", ["/sbin/init", "/usr/sbin/init", "init", "/lib/systemd/systemd"])
def test_the_machine_is_not_booted_anew_by_a_pod_that_boots_its_image(command: str):
    """As routers' images do: the machine's init would start its services, and clear its /tmp, a second time."""
    found = read_manifests([pod(containers=[container(command=[command], args=["systemd.setenv=a=b"])])])

    assert found.pods[0].commands == ()
    (note,) = found.notes
    assert note.startswith(f"Pod default/r1: container 'main' boots its image by {command}, ")


def test_a_program_of_a_pods_own_that_is_called_init_runs():
    assert only(pod(containers=[container(command=["/etc/lab/init"])])).commands[0].argv == ("/etc/lab/init",)


def test_config_map_is_a_volume_and_an_environment():
    config = {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a.conf": "text"}, "binaryData": {"b": "AAE="}}
    found = only(
        pod(
            containers=[
                container(
                    command=["true"],
                    envFrom=[{"configMapRef": {"name": "c"}, "prefix": "X_"}],
                    volumeMounts=[{"name": "v", "mountPath": "/etc/x", "subPath": "a.conf"}],
                )
            ],
            volumes=[{"name": "v", "configMap": {"name": "c"}}],
        ),
        config,
    )
    assert found.volumes[0].files == {"a.conf": b"text", "b": b"\0\1"}
    assert found.commands[0].env == {"X_a.conf": "text"}
    assert (found.commands[0].mounts[0].path, found.commands[0].mounts[0].sub_path) == ("/etc/x", "a.conf")


def test_no_variable_comes_from_binary_data():
    """As on Kubernetes, where it would be no text."""
    config = {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "text"}, "binaryData": {"b": "AAE="}}
    env = {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "b"}}}
    found = problems(config, pod(containers=[container(env=[env])]))
    assert found == ["spec.containers[0].env[0].valueFrom.configMapKeyRef.key"]


def test_variables_of_a_config_map_are_taken_as_they_are():
    """As on Kubernetes: `$(NAME)` has a meaning in `value` alone."""
    config = {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"secret": "pa$$word $(HERE)"}}
    env = [
        {"name": "HERE", "value": "1"},
        {"name": "SECRET", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "secret"}}},
        {"name": "USED", "value": "$(SECRET) $$ $(HERE)"},
    ]
    found = only(config, pod(containers=[container(command=["env"], env=env)]))
    assert found.commands[0].env == {"HERE": "1", "SECRET": "pa$$word $(HERE)", "USED": "pa$$word $(HERE) $ 1"}


@pytest.mark.parametrize("path", ["status.podIP", "status.hostIP", "metadata.uid", "metadata.labels['app']"])
def test_variables_of_fields_that_a_lab_has_not_are_told(path):
    """The manifest is a good one: on a cluster they have values."""
    env = [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": path}}}, {"name": "B", "value": "$(A)"}]
    found = read_manifests([pod(containers=[container(command=["env"], env=env)])])
    assert found.pods[0].commands[0].env == {"B": "$(A)"}
    assert found.notes == (f"Pod default/r1: variable 'A' comes from what a lab has not ({path}): unset",)


@pytest.mark.parametrize(
    ("account", "told"),
    [
        ({}, "default"),
        ({"serviceAccountName": "router"}, "router"),
        ({"serviceAccount": "router"}, "router"),
        ({"serviceAccount": "older", "serviceAccountName": "router"}, "router"),
    ],
)
def test_a_command_is_told_its_service_account(account, told):
    env = [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.serviceAccountName"}}}]
    assert only(pod(containers=[container(command=["env"], env=env)], **account)).commands[0].env == {"A": told}


def test_variables_of_a_secret_are_told():
    of_secret = {"secretRef": {"name": "s"}}
    env = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    found = read_manifests([pod(containers=[container(command=["env"], env=[env], envFrom=[of_secret, of_secret])])])
    assert found.pods[0].commands[0].env == {}
    assert found.notes == (
        "Pod default/r1: variables come from what a lab has not (secretRef): unset",
        "Pod default/r1: variable 'A' comes from what a lab has not (secretKeyRef): unset",
    )


@pytest.mark.parametrize(
    ("of_pod", "of_container", "told"),
    [
        ({"runAsUser": 1000}, {}, ["runAsUser 1000"]),
        ({}, {"runAsGroup": 7}, ["runAsGroup 7"]),
        ({"runAsUser": 1000, "runAsGroup": 7}, {"runAsUser": 33}, ["runAsUser 33", "runAsGroup 7"]),
        ({"runAsUser": 1000}, {"runAsUser": 0}, []),
        ({"fsGroup": 5}, {"runAsUser": None}, []),
    ],
)
def test_users_other_than_root_are_told(of_pod, of_container, told):
    """On a cluster the command would be somebody else."""
    one = container(command=["id"], securityContext=of_container)
    two = container(command=["id"], securityContext={"runAsUser": 0, "runAsGroup": 0}) | {"name": "two"}

    notes = read_manifests([pod(containers=[one, two], securityContext=of_pod)]).notes

    assert len(notes) == bool(told)
    assert all(note.startswith("Pod default/r1: container 'main' has ") for note in notes)
    assert all(words in notes[0] for words in told)


def test_a_user_that_kubernetes_refuses_is_refused():
    assert problems(pod(securityContext={"runAsUser": "bird"}, containers=[container(command=["id"])])) == [
        "spec.securityContext.runAsUser"
    ]


def test_volume_items_choose_and_rename():
    config = {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1", "b": "2"}}
    items = [{"key": "b", "path": "deep/file"}, {"key": "a", "path": "run", "mode": 0o755}]
    source = {"name": "c", "items": items, "defaultMode": 0o400}
    (volume,) = only(pod(containers=[], volumes=[{"name": "v", "configMap": source}]), config).volumes
    assert volume.files == {"deep/file": b"2", "run": b"1"}
    assert [volume.mode_of(name) for name in volume.files] == [0o400, 0o755]


@pytest.mark.parametrize("volume", [{}, {"emptyDir": None}, {"emptyDir": {}, "hostPath": None}])
def test_volume_that_is_nothing_else_is_an_empty_directory(volume):
    """As the API server has it; `emptyDir:` without a value is one, too."""
    found = read_manifests([pod(containers=[], volumes=[{"name": "v", **volume}])])
    assert [(each.name, each.files) for each in found.pods[0].volumes] == [("v", None)]
    assert found.notes == ()


@pytest.mark.parametrize("items", [[], None])
def test_volume_of_no_items_has_all(items):
    config = {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1", "b": "2"}}
    source = {"name": "c", "items": items}
    found = only(pod(containers=[], volumes=[{"name": "v", "configMap": source}]), config)
    assert found.volumes[0].files == {"a": b"1", "b": b"2"}


@pytest.mark.parametrize("items", [{}, {"items": [{"key": "none", "path": "p"}]}])
@pytest.mark.parametrize("name", ["none", "c"])
def test_volume_of_what_is_optional_and_not_there_is_empty(items, name):
    config = {"kind": "ConfigMap", "metadata": {"name": "c"}}
    source = {"name": name, "optional": True, **items}
    mounted = container(command=["id"], volumeMounts=[{"name": "v", "mountPath": "/etc/x"}])
    found = only(pod(containers=[mounted], volumes=[{"name": "v", "configMap": source}]), config)
    assert [volume.files for volume in found.volumes] == [{}]
    assert [mount.path for mount in found.commands[0].mounts] == ["/etc/x"]


def test_mount_of_what_is_no_volume_is_told():
    """As of a claim template's, or where a name is misspelt."""
    mounts = [{"name": name, "mountPath": f"/{name}"} for name in ("here", "host", "typo")]
    volumes = [{"name": "here", "emptyDir": {}}, {"name": "host", "hostPath": {"path": "/"}}]

    found = read_manifests([pod(containers=[container(command=["id"], volumeMounts=mounts)], volumes=volumes)])

    assert [mount.path for mount in found.pods[0].commands[0].mounts] == ["/here"]
    assert found.notes == (
        "Pod default/r1: volume 'host' (hostPath): a lab mounts configMap and emptyDir: skipped",
        "Pod default/r1: container 'main' mounts 'typo', which is none of its pod's volumes: skipped",
    )


def test_stateful_set_has_numbered_pods():
    template = {"spec": {"containers": [container()]}}
    found = read_manifests(
        [{"kind": "StatefulSet", "metadata": {"name": "r"}, "spec": {"replicas": 3, "template": template}}]
    )
    assert [each.name for each in found.pods] == ["r-0", "r-1", "r-2"]


def test_ordinals_of_a_stateful_set_may_start_elsewhere():
    spec = {"replicas": 2, "ordinals": {"start": 1}, "template": {"spec": {"containers": [container()]}}}
    found = read_manifests([{"kind": "StatefulSet", "metadata": {"name": "r"}, "spec": spec}])
    assert [each.name for each in found.pods] == ["r-1", "r-2"]


def test_what_is_empty_counts_as_absent():
    """As the API server has it, and as templates write it."""
    found = only(pod(hostname="", restartPolicy="", nodeName="", containers=[container()]))
    assert (found.hostname, found.restart, found.node) == ("r1", "Always", None)


def test_names_of_a_deployment_are_said():
    template = {"spec": {"containers": [container()]}}
    found = read_manifests([{"kind": "Deployment", "metadata": {"name": "r"}, "spec": {"template": template}}])
    assert [each.name for each in found.pods] == ["r-0"]
    assert any("Deployment default/r" in note and "r-0" in note for note in found.notes)


@pytest.mark.parametrize(
    "wish", [{"nodeName": "n7"}, {"nodeSelector": {"kubernetes.io/hostname": "n7"}}], ids=["name", "selector"]
)
def test_node_of_a_pod(wish):
    assert only(pod(containers=[], **wish)).node == "n7"


def test_namespaces_are_kept():
    found = read_manifests([{"kind": "Topology", "metadata": {"name": "a", "namespace": "x"}}, pod("b")])
    assert [document["metadata"]["namespace"] for document in found.topologies] == ["x"]
    assert [str(each) for each in found.pods] == ["default/b"]


def test_what_is_to_be_said_of_many_pods_is_said_once() -> None:
    def notes(count: int) -> tuple[str, ...]:
        first = {"name": "wait", "image": "networkop/init-wait"}
        pods = [pod(f"r{number}", initContainers=[first], containers=[container()]) for number in range(count)]
        return read_manifests(pods).notes

    told = "init containers are not run: interfaces exist from the start"
    assert notes(1) == (f"Pod default/r0: {told}",)
    assert notes(3) == (f"Pods default/r0, default/r1, default/r2: {told}",)
    assert notes(64) == (f"Pods default/r0, default/r1, default/r2 and 61 more: {told}",)


def test_topology_without_a_pod_and_unknown_kinds_are_named():
    topology = {"kind": "Topology", "metadata": {"name": "lonely"}}
    notes = read_manifests([topology, {"kind": "Service", "metadata": {"name": "s"}}]).notes
    assert any("Topology default/lonely has no Pod" in note for note in notes)
    assert any(note.startswith("Service s") for note in notes)


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"containers": [container(command="sleep 1")]}, "spec.containers[0].command"),
        ({"containers": [container(command=["sleep", 1])]}, "spec.containers[0].command[1]"),
        ({"containers": [{"command": ["true"]}]}, "spec.containers[0].name"),
        ({"containers": [container(env=[{"name": "A", "value": 1}])]}, "spec.containers[0].env[0].value"),
        (
            {"containers": [container(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": 1}}}])]},
            "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath",
        ),
        ({"containers": [{"name": "../x"}]}, "spec.containers[0].name"),
        ({"volumes": [{"name": "../x", "emptyDir": {}}]}, "spec.volumes[0].name"),
        ({"hostname": "a/b"}, "spec.hostname"),
        ({"restartPolicy": "Sometimes"}, "spec.restartPolicy"),
        ({"terminationGracePeriodSeconds": -1}, "spec.terminationGracePeriodSeconds"),
        ({"volumes": [{"name": "v", "configMap": {"name": "gone"}}]}, "spec.volumes[0].configMap.name"),
        ({"containers": [container(volumeMounts=[{"name": ["v"]}])]}, "spec.containers[0].volumeMounts[0].name"),
    ],
)
def test_what_is_wrong_is_told_with_its_path(spec, path):
    assert path in problems(pod(**spec))


def _with_expression(expression: str) -> dict[str, Any]:
    fields = {"POD": "metadata.name", "NODE": "spec.nodeName"}
    env = [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()]
    mounts = [{"name": "v", "mountPath": "/etc/router.conf", "subPathExpr": expression}]
    containers = [container(command=["id"], env=env, volumeMounts=mounts)]
    return pod(containers=containers, volumes=[{"name": "v", "emptyDir": {}}])


def test_sub_path_may_have_variables():
    """As a StatefulSet's pods have a file each of one ConfigMap."""
    (mount,) = only(_with_expression("$(NODE)/$(POD).conf")).on("n1").commands[0].mounts
    assert mount.sub_path == "n1/r1.conf"


@pytest.mark.parametrize("expression", ["/$(POD)", "$(POD)/../.."])
def test_sub_paths_with_variables_stay_inside(expression):
    assert problems(_with_expression(expression)) == ["spec.containers[0].volumeMounts[0].subPathExpr"]


@pytest.mark.parametrize("path", ["", "/a", "a/../../b", "a\0b", "a\ud800"])
def test_files_of_a_config_map_have_names_that_files_can_have(path):
    config = {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"k": ""}}
    volume = {"name": "v", "configMap": {"name": "c", "items": [{"key": "k", "path": path}]}}
    assert problems(config, pod(volumes=[volume])) == ["spec.volumes[0].configMap.items[0].path"]


@pytest.mark.parametrize("path", ["relative", "/a/../b", "/"])
def test_mount_paths_stay_inside(path):
    mounts = [{"name": "v", "mountPath": path}]
    spec = {"containers": [container(volumeMounts=mounts)], "volumes": [{"name": "v", "emptyDir": {}}]}
    assert problems(pod(**spec)) == ["spec.containers[0].volumeMounts[0].mountPath"]


@pytest.mark.parametrize("name", ["../x", "..", "a/b", "", "a;K8S_POD_NAME=b", "a b", "A"])
def test_names_are_not_paths(name):
    assert problems({"kind": "Pod", "metadata": {"name": name}, "spec": {}})


def test_names_are_those_of_kubernetes():
    spec = {"hostname": "a.b", "volumes": [{"name": "v.1", "emptyDir": {}}], "containers": [container(name="c.1")]}
    named = pod("a..b", **spec)
    named["metadata"]["namespace"] = "x.y"

    found = problems(named)

    assert sorted(found) == [
        "metadata.name",
        "metadata.namespace",
        "spec.containers[0].name",
        "spec.hostname",
        "spec.volumes[0].name",
    ]
    assert only(pod("a.b", containers=[container()])).hostname == "a.b"


def test_two_containers_of_one_name_are_refused():
    twice = pod(containers=[container(), container(name="other"), container()])
    assert problems(twice) == ["spec.containers[2].name"]


def test_two_volumes_of_one_name_are_refused():
    """As on Kubernetes; the first one's mounts had the files of the second."""
    volumes = [{"name": "v", "emptyDir": {}}, {"name": "other"}, {"name": "v", "hostPath": {"path": "/"}}]
    assert problems(pod(volumes=volumes)) == ["spec.volumes[2].name"]


def test_two_mounts_at_one_path_are_refused():
    """As on Kubernetes; the first one was not seen."""
    mounts = [{"name": "v", "mountPath": path} for path in ("/a", "/b", "/a")]
    twice = pod(containers=[container(volumeMounts=mounts)], volumes=[{"name": "v"}])
    assert problems(twice) == ["spec.containers[0].volumeMounts[2].mountPath"]


@pytest.mark.parametrize("name", ["", "A=B", "=", "A\n", "\u00e4"])
def test_what_is_no_name_of_a_variable_is_refused(name):
    wrong = pod(containers=[container(env=[{"name": "RIGHT", "value": "1"}, {"name": name, "value": "1"}])])
    assert problems(wrong) == ["spec.containers[0].env[1].name"]


@pytest.mark.parametrize("name", ["a", "A-b.c", "1", "two words"])
def test_other_names_of_variables_are_taken(name):
    found = only(pod(containers=[container(command=["env"], env=[{"name": name, "value": "1"}])]))
    assert found.commands[0].env == {name: "1"}


def test_prefix_that_makes_no_name_of_a_variable_is_refused():
    config = {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "text"}}
    source = {"prefix": "A=", "configMapRef": {"name": "c"}}
    assert problems(config, pod(containers=[container(envFrom=[source])])) == ["spec.containers[0].envFrom[0].prefix"]


def test_a_pod_without_a_network_namespace_of_its_own_is_told():
    """In a lab it has one, with its links; on a cluster no plugin is called for it."""
    (note,) = read_manifests([pod(hostNetwork=True, containers=[container()])]).notes
    assert note.startswith("Pod default/r1: hostNetwork: ")
