"""The nodes of a lab: their daemons end and start, pods move between them, each can be told something of its own."""

from __future__ import annotations

import json
import sys

import pytest

from tests.lab import machine
from tests.lab.topologies import link, pair, pod, ring, text, topology

pytestmark = pytest.mark.lab

FACTS = "readlink /proc/self/ns/net; cat /sys/class/net/eth1/ifindex"
CARRIER = "cat /sys/class/net/eth1/carrier"


def environment(lab, node: str) -> dict[str, str]:
    """What the daemon of a node was started with."""
    (pid,) = [row["pid"] for row in lab.json("lab", "nodes") if row["name"] == node]
    words = lab.ok("lab", "exec", node, "--", "cat", f"/proc/{pid}/environ").split("\0")
    return dict(word.split("=", 1) for word in words if "=" in word)


def place_of(lab, name: str) -> tuple[str, str]:
    (row,) = lab.json("lab", "pods", name)
    return row["node"], row["phase"]


def sandboxes(lab) -> list[dict[str, object]]:
    return sorted(lab.json("get", "sandboxes"), key=lambda row: row["pod"])


def test_daemon_started_again_adopts_what_is_there(lab):
    lab.ok("lab", "up", "-", stdin=pair())
    before = lab.sh("r1", FACTS), sandboxes(lab)
    lab.ok("lab", "node", "n1", "kill")
    (node,) = lab.json("lab", "nodes")
    assert node["daemon"] == "was ended by SIGKILL"
    assert lab.run("lab", "node", "n1", "stop").returncode == 1
    assert lab.sh("r1", CARRIER) == "1"
    assert "1 received" in lab.sh("r1", "ping -c 1 -W 5 10.0.0.2")
    lab.ok("lab", "node", "n1", "start")
    assert lab.run("lab", "node", "n1", "start").returncode == 1
    assert "ended" not in lab.ok("lab", "logs", "n1")
    assert (lab.sh("r1", FACTS), sandboxes(lab)) == before
    assert lab.sh("r1", CARRIER) == "1"
    lab.ok("lab", "node", "n1", "stop")
    assert lab.json("lab", "nodes")[0]["daemon"] == "ended with exit code 0"
    lab.ok("lab", "node", "n1", "start")
    assert (lab.sh("r1", FACTS), sandboxes(lab)) == before
    lab.ok("lab", "restart", "r1")
    lab.ok("wait", "--for", "up", "r1:eth1")


def test_a_command_is_told_the_node_that_its_pod_is_on(lab):
    env = [
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "AT", "value": "at-$(NODE)"},
    ]
    said = pod("r1", "sh", "-c", "echo $NODE $(NODE) $(AT); exec sleep inf", container={"env": env})

    def told(node: str) -> bool:
        return lab.ok("lab", "logs", "r1").splitlines()[-1:] == [f"{node} {node} at-{node}"]

    lab.ok("lab", "up", "--nodes", "2", "--place", "r1=n2", "-", stdin=text(said))
    machine.eventually(lambda: told("n2"), "the command was told another node")
    assert lab.sh("r1", "echo $NODE") == "n2"
    lab.ok("lab", "restart", "r1", "--node", "n1")
    machine.eventually(lambda: told("n1"), "the command was told another node than the new one")
    assert lab.sh("r1", "echo $NODE") == "n1"


def test_pods_move_between_nodes(lab):
    lab.ok("lab", "up", "--nodes", "2", "--place", "r1=n1", "--place", "r2=n1", "-", stdin=pair())
    lab.ok("lab", "restart", "r1", "--node", "n2")
    assert place_of(lab, "r1") == ("n2", "Running")
    assert [(row["pod"], row["node"]) for row in sandboxes(lab)] == [("r1", "n2"), ("r2", "n1")]
    lab.ok("lab", "restart", "r2", "--node", "n2")
    lab.ok("wait", "--for", "up", "r1:eth1")
    assert "1 received" in lab.sh("r1", "ping -c 1 -W 5 10.0.0.2")
    lab.ok("lab", "stop", "r1")
    lab.ok("lab", "start", "r1", "--node", "n1")
    assert place_of(lab, "r1") == ("n1", "Running")
    lab.ok("lab", "stop", "r2")
    refused = lab.run("lab", "start", "r2", "--node", "n9")
    assert (refused.returncode, "no" in refused.stderr and "n9" in refused.stderr) == (1, True)
    assert place_of(lab, "r2") == ("n2", "Stopped")


@pytest.mark.parametrize("silent", ["n1", "n2"])
def test_pod_stays_when_a_daemon_that_it_needs_is_away(lab, silent):
    lab.ok(
        "lab",
        "up",
        "--nodes",
        "2",
        "--place",
        "r1=n1",
        "--place",
        "r2=n1",
        "-",
        stdin=pair(pod("r1", "sleep", "1000"), pod("r2")),
    )
    before = lab.sh("r1", FACTS)
    lab.ok("lab", "node", silent, "kill")
    refused = lab.run("lab", "restart", "r1", "--node", "n2")
    assert (refused.returncode, f"meshnet lab node {silent} start" in refused.stderr) == (3, True), refused.stderr
    assert place_of(lab, "r1") == ("n1", "Running")
    assert lab.sh("r1", FACTS) == before
    if silent == "n1":
        assert lab.run("lab", "stop", "r1").returncode == 3
        assert lab.sh("r1", FACTS) == before
    lab.ok("lab", "node", silent, "start")
    lab.ok("lab", "restart", "r1", "--node", "n2")
    assert place_of(lab, "r1") == ("n2", "Running")


def test_pod_taken_from_a_lost_node_is_deleted_there_when_the_node_is_back(lab):
    lab.ok("lab", "up", "--nodes", "2", "--place", "r1=n1", "--place", "r2=n2", "-", stdin=pair())
    before = sandboxes(lab)
    lab.ok("lab", "node", "n1", "isolate")
    lab.ok("lab", "node", "n1", "kill")
    assert lab.run("lab", "restart", "r1", "--node", "n2").returncode == 3
    lab.ok("lab", "restart", "r1", "--node", "n2", "--force")
    lab.ok("wait", "--for", "up", "r1:eth1")
    assert "1 received" in lab.sh("r1", "ping -c 1 -W 5 10.0.0.2")
    lab.ok("lab", "node", "n1", "start")
    lab.ok("lab", "node", "n1", "rejoin")
    now = sandboxes(lab)
    assert [(row["pod"], row["node"]) for row in now] == [("r1", "n2"), ("r2", "n2")]
    assert now[0]["container_id"] not in {row["container_id"] for row in before}
    assert now[0]["epoch"] == before[0]["epoch"] + 1
    assert "1 received" in lab.sh("r1", "ping -c 1 -W 5 10.0.0.2")


def test_a_pod_waits_for_a_daemon_that_is_away_and_fails_when_it_stays_so(lab):
    """As a kubelet does: the daemon may be restarting."""
    lab.ok("lab", "up", "--wait", "3", "-", stdin=pair())
    lab.ok("lab", "stop", "r1")
    lab.ok("lab", "node", "n1", "stop")
    refused = lab.run("lab", "start", "r1")
    assert (refused.returncode, "default/r1" in refused.stderr, "code 11" in refused.stderr) == (1, True, True)
    lab.ok("lab", "node", "n1", "start")
    lab.ok("lab", "start", "r1")


def test_every_daemon_gets_its_address_and_its_settings(lab):
    lab.environment["HOST_INTF"] = "nowhere0"  # of a daemon of this machine
    words = ("--set", "MESHNET_PORT=5000", "--set", "n2:MESHNET_PORT=6000", "--set", "n2:MESHNET_LOG_LEVEL=debug")
    lab.ok("lab", "up", "--nodes", "2", "--place", "r2=n1", "--place", "r1=n1", *words, "-", stdin=pair())
    one, two = environment(lab, "n1"), environment(lab, "n2")
    assert (one["HOST_IP"], two["HOST_IP"]) == ("10.99.0.1", "10.99.0.2")
    assert (one["MESHNET_PORT"], two["MESHNET_PORT"]) == ("5000", "6000")
    assert (one.get("MESHNET_LOG_LEVEL"), two["MESHNET_LOG_LEVEL"]) == (None, "debug")
    lab.ok("lab", "node", "n2", "kill")
    lab.ok("lab", "node", "n2", "start")
    assert environment(lab, "n2") == two


def test_what_runs_on_a_node_is_where_its_daemon_is(lab):
    lab.ok("lab", "up", "--nodes", "2", "--place", "r1=n1", "--place", "r2=n1", "-", stdin=pair())
    shown = lab.ok("lab", "exec", "node/n2", "--", "sh", "-c", "echo $NODE_NAME; ls /sys/class/net; ip -br link")
    assert shown.split()[:3] == ["n2", "eth0", "lo"]
    words = (*lab.command, "get", "sandboxes", "-o", "json")
    alone = json.loads(lab.ok("lab", "exec", "n1", "--", "env", f"PYTHONPATH={lab.environment['PYTHONPATH']}", *words))
    assert {row["node"] for row in alone} == {"n1"}
    assert lab.run("lab", "exec", "n2", "--", "sh", "-c", "exit 5").returncode == 5
    assert lab.run("lab", "exec", "n3", "--", "true").returncode == 1


def test_pods_tell_how_their_commands_are(lab):
    pods = (pod("r1", "sh", "-c", "exit 3"), pod("r2", "sleep", "1000"))
    lab.ok("lab", "up", "-", stdin=pair(*pods))
    machine.eventually(lambda: lab.json("lab", "pods", "r1")[0]["commands"][0]["restarts"] > 0, "not started again")
    table = lab.ok("lab", "pods")
    assert "main: ended with exit code 3" in table or "main: runs" in table
    (failed,) = lab.json("lab", "pods", "default/r1")
    assert (failed["phase"], failed["commands"][0]["code"]) == ("Running", 3)
    assert "main: runs" in lab.ok("lab", "pods", "r2")
    assert lab.run("lab", "pods", "r9").returncode == 1


def test_run_tells_the_nodes_of_every_link(lab):
    documents = [
        document
        for one, other, uid in (("a", "b", 1), ("c", "d", 2))
        for document in (
            topology(one, link(uid, "eth1", f"{other}:eth1", f"10.0.{uid}.1/24")),
            topology(other, link(uid, "eth1", f"{one}:eth1", f"10.0.{uid}.2/24")),
            pod(one, nodeName="left" if uid == 1 else "right"),
            pod(other, nodeName="left" if uid == 1 else "right"),
        )
    ]
    done = lab.run("lab", "run", "-", stdin=text(*documents))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 links, 4 pings, 0 links with a ping unanswered" in done.stdout
    first, second = [line for line in done.stdout.splitlines() if ":eth1" in line]
    assert "left" in first
    assert "right" in second


@pytest.mark.parametrize("underlay", ["ipv4", "ipv6"])
def test_run_pings_links_between_nodes_both_ways(lab, underlay):
    done = lab.run("lab", "run", "--nodes", "3", "--underlay", underlay, "--uplink", "n2=ens7", "-", stdin=ring(5))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 links, 10 pings, 0 links with a ping unanswered" in done.stdout
    assert "n1 / n2" in done.stdout


def test_nodes_tell_their_records_uplinks_and_daemons(lab):
    lab.ok("lab", "up", "--nodes", "2", "--place", "r1=n1", "--place", "r2=n1", "-", stdin=pair())
    lab.ok("lab", "node", "n2", "isolate", "--direction", "in")
    lab.ok("lab", "node", "n2", "kill")
    one, two = lab.json("get", "nodes")
    assert (one["reachable"], one["daemon"], one["uplink_state"], one["up"]) == (True, "runs", "plugged in", 2)
    assert (two["reachable"], two["daemon"], two["uplink_state"]) == (
        *(False, "was ended by SIGKILL", "drops what comes in"),
    )
    # the record stays when the daemon goes
    assert [node["addresses"] for node in (one, two)] == [["10.99.0.1"], ["10.99.0.2"]]
    assert all("veth" in {driver["name"] for driver in node["drivers"]} for node in (one, two))
    assert "drops what comes in" in lab.ok("get", "nodes", "-o", "wide")


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ("'[' * 30000", "no line of JSON"),
        ("'{\"verb\":' + '[' * 30000", "no line of JSON"),
        ("'{\"verb\":' + '[' * 900 + ']' * 900 + '}'", "no JSON object of strings"),
        ('\'{"verb": "explode"}\'', "must be one of"),
        ("'[]'", "no JSON object of strings"),
    ],
)
def test_request_that_is_none_is_refused(lab, request_, told):
    lab.ok("lab", "up", "-", stdin=pair())
    script = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect('/run/meshnet/lab.sock');"
        f"s.sendall(({request_}).encode() + b'\\n'); print(s.recv(65536).decode())"
    )
    answer = lab.ok("lab", "exec", "n1", "--", sys.executable, "-c", script)
    assert told in json.loads(answer)["error"]
    assert "bug" not in answer
    assert lab.sh("r1", "echo lives") == "lives"
