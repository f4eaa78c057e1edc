"""The pages for clusters, command by command, as somebody follows them: from a bare cluster to a bare cluster."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cluster import pods
from tests.cluster.installation import daemon_of, remove, roll_out, uninstall
from tests.cluster.machine.commands import wait_for
from tests.cluster.machine.images import TOOLS
from tests.cluster.resources import MANIFESTS
from tests.cluster.scenarios import traces
from tests.docs.pages import blocks
from tests.docs.tried import INSTALL, in_order, script
from tests.image.build import BUILD_LIMIT_S, CannotBuildError, built_archive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.machine.cluster import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(BUILD_LIMIT_S + 1200)]

EXAMPLES = MANIFESTS.parent / "examples"
LIMIT_S = 400
OLD_RECORD = {
    "apiVersion": "networkop.co.uk/v1beta1",
    "kind": "GWireKObj",
    "metadata": {"name": "n1", "namespace": "default"},
}
IMAGE = re.compile(r"(?<=image: )\S+$", re.MULTILINE)


class User:
    """Somebody with a kubeconfig, kubectl, meshnet, and a checkout with examples of an image that the cluster has."""

    def __init__(self, cluster: Cluster, home: Path) -> None:
        self.cluster = cluster
        self._checkout = home / "checkout"
        (self._checkout / "examples").mkdir(parents=True)
        (self._checkout / "manifests").symlink_to(MANIFESTS)
        for path in EXAMPLES.glob("*.yml"):
            (self._checkout / "examples" / path.name).write_text(IMAGE.sub(TOOLS, path.read_text()))
        programs = [str(cluster.kubectl_program.parent), str(Path(sys.executable).parent), os.environ["PATH"]]
        self._variables = {"PATH": ":".join(programs), "HOME": str(home), "KUBECONFIG": str(cluster.kubeconfig)}

    def run(self, text: str) -> str:
        """Run commands, all of which must succeed, and return what they printed."""
        command = ["bash", "-euo", "pipefail", "-c", text]
        done = subprocess.run(
            command,
            cwd=self._checkout,
            env=self._variables,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout


@pytest.fixture(scope="module")
def user(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """The image is on every node. Afterwards nothing of meshnet is, whatever became of the pages."""
    try:
        cluster.import_images(built_archive().path)
    except CannotBuildError as reason:
        pytest.skip(str(reason))
    yield User(cluster, tmp_path_factory.mktemp("user"))
    if cluster.try_kubectl("get", "daemonset", "meshnet", "--namespace=meshnet").returncode == 0:
        cluster.kubectl("delete", "pods", "--all", "--timeout=120s")
        uninstall(cluster)
    remove(cluster)


def test_their_commands_work_from_a_bare_cluster_to_a_bare_one(user: User) -> None:
    # one test: what a page does, the next ones build on
    for block in in_order():
        try:
            follow_page(user, script(block))
        except Exception as error:
            error.add_note(f"{block.page.name}, section {block.section}: {block.commands[0]}")
            raise
    assert_nothing_is_left(user)


def follow_page(user: User, text: str) -> None:
    prepare(user, text)
    said = user.run(text)
    follow(user, text, said)


def prepare(user: User, text: str) -> None:
    """Have the trouble that the commands are about."""
    if "--previous" in text:
        crash(user.cluster, "n1")
    if "gwirekobjs" in text:
        user.cluster.apply(OLD_RECORD)
    if "delete daemonset" in text:
        user.run("kubectl delete -f examples/3node.yml --timeout=120s")
        traces.wait_none(user.cluster)


def follow(user: User, text: str, said: str) -> None:
    """What the page says that comes of them."""
    if "gwirekobjs" in text:
        assert user.cluster.get("gwirekobjs", "--all-namespaces")["items"] == []
    if "auth can-i" in text:
        assert said.split()[:3] == ["yes"] * 3
    if "MESHNET_UNDERLAY_MTU=1400" in text:
        wait_for(lambda: link_mtu(user) == {"1350"}, "links of 1350 bytes", 60)


def crash(cluster: Cluster, node: str) -> None:
    """End the daemon of a node, so that its pod starts it again."""
    pod = daemon_of(cluster, node)
    before = restarts(cluster, pod)

    def restarted() -> bool:
        if restarts(cluster, pod) > before:
            return True
        # the command ends with the container that it runs in, or before it: or it did not get there
        cluster.try_kubectl("exec", "--namespace=meshnet", pod, "--", "sh", "-c", "kill 1")
        return False

    wait_for(restarted, f"{pod} to start again", every_s=10)
    roll_out(cluster)


def restarts(cluster: Cluster, pod: str) -> int:
    (found,) = cluster.get("pod", pod, "--namespace=meshnet")["status"]["containerStatuses"]
    return int(found["restartCount"])


def link_mtu(user: User) -> set[str]:
    """The MTUs of all interfaces that pods have for links."""
    look = ("sh", "-c", "cat /sys/class/net/eth[12]/mtu")
    said = [user.cluster.kubectl("exec", pod, "--", *look) for pod in ("r1", "r2", "r3")]
    return set(" ".join(said).split())


def assert_nothing_is_left(user: User) -> None:
    for node in user.cluster.nodes.values():
        assert not node.path("/opt/cni/bin/meshnet").exists()
        assert not list(node.path("/etc/cni/net.d").glob("*meshnet*"))
    assert user.cluster.try_kubectl("get", "crd", "topologies.networkop.co.uk").returncode != 0
    user.cluster.apply(pods.pod("after", "n1"))
    pods.wait_ready(user.cluster, "after")
    pods.delete(user.cluster, "after")


def test_the_kustomization_for_a_registry_builds(user: User) -> None:
    (block,) = blocks(INSTALL, "yaml")
    write = f"cat > kustomization.yaml <<'END'\n{block.text}END"

    built = user.run(f"mkdir -p mine && cd mine && ln -sfn ../manifests manifests\n{write}\nkubectl kustomize .")

    assert "image: registry.example/meshnet:0.1.0" in built
