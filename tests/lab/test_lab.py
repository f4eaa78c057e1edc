"""``meshnet lab`` on the real kernel: up, the life of pods and nodes, down; nothing is left."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

from tests.lab import machine
from tests.lab.topologies import link, pair, pod, ring, text, topology

pytestmark = pytest.mark.lab


def test_up_exec_and_down_twice(lab):
    assert "2 of 2 link ends up" in lab.ok("lab", "up", "-", stdin=pair())
    assert lab.sh("r1", "hostname; cat /etc/hostname; ls /sys/class/net").split() == ["r1", "r1", "eth1", "lo"]
    assert "1 received" in lab.sh("r1", "ping -c 1 -W 5 10.0.0.2")
    assert lab.run("lab", "exec", "r1", "--", "sh", "-c", "exit 7").returncode == 7
    assert lab.run("lab", "exec", "r1", "--", "no-such-program").returncode == 127
    none = lab.run("lab", "exec", "r1", "--", os.fsdecode(b"no\xff"))
    assert (none.returncode, none.stderr) == (127, "error: no\\udcff: No such file or directory\n")
    assert lab.run("lab", "exec", "r1", "--", "sh", "-c", "kill -9 $$").returncode == 128 + 9
    assert lab.run("lab", "exec", "nobody", "--", "true").returncode == 1
    assert lab.ok("lab", "exec", "r1", "--", "cat", "-v", "/proc/sys/kernel/hostname") == "r1\n"
    lab.ok("lab", "down", lab.name)
    lab.ok("lab", "down", lab.name)
    assert lab.run("lab", "exec", "r1", "--", "true").returncode == 2


def test_exec_in_a_pod_whose_command_has_another_root_directory(lab, tmp_path):
    """As of name servers that shut themselves in: what is run beside them finds the machine's programs."""
    script = f"import os, time; os.chroot({str(tmp_path)!r}); print('shut in', flush=True); time.sleep(1000)"
    lab.ok("lab", "up", "-", stdin=text(pod("r1", sys.executable, "-c", script)))
    machine.eventually(lambda: "shut in" in lab.ok("lab", "logs", "r1"), "the command has not changed its root")
    assert lab.sh("r1", "cat /run/hostname") == "r1"


def test_exec_in_a_pod_whose_first_command_has_ended_is_in_the_other_one(lab):
    names = {"first": ("true",), "second": ("sleep", "1000")}
    containers = [
        {"name": name, "command": list(command), "workingDir": f"/{name}", "env": [{"name": "WHO", "value": name}]}
        for name, command in names.items()
    ]
    lab.ok("lab", "up", "-", stdin=text(pod("r1", containers=containers, restartPolicy="Never")))
    machine.eventually(lambda: "first: ended" in lab.ok("lab", "pods"), "it did not end")
    assert lab.sh("r1", "echo $WHO; pwd").split() == ["second", "/second"]


def test_several_exec_at_once_in_a_pod_without_a_command(lab):
    lab.ok("lab", "up", "-", stdin=pair())
    script = (
        "import socket; several = [socket.socket(socket.AF_UNIX) for _ in range(4)]\n"
        "for s in several: s.settimeout(30); s.connect('/run/meshnet/lab.sock')\n"
        'for s in several: s.sendall(b\'{"verb": "enter", "name": "r1"}\\n\')\n'
        "for s in several: print(s.recv(65536).decode(), end='')"
    )
    answers = lab.ok("lab", "exec", "n1", "--", sys.executable, "-c", script)
    assert [json.loads(line)["environment"]["HOSTNAME"] for line in answers.splitlines()] == ["r1"] * 4
    assert lab.ok("lab", "exec", "n1", "--", "sh", "-c", "grep -lx r1 /proc/[0-9]*/root/run/hostname | wc -l") == "1\n"


def test_exec_on_a_terminal(lab):
    lab.ok("lab", "up", "-", stdin=pair())
    pid, terminal = pty.fork()
    if pid == 0:
        command = [*lab.command, "lab", "exec", "r1", "--", "sh", "-c", "test -t 0 && stty size && hostname; read x"]
        os.execvpe(command[0], command, lab.environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 111, 0, 0))
    shown = b""
    while b"r1" not in shown:
        assert select.select([terminal], [], [], 20)[0], shown
        shown += os.read(terminal, 1024)
    assert b"33 111" in shown
    os.write(terminal, b"\x03")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGINT


def test_interfaces_exist_when_the_first_process_starts(lab):
    command = ("sh", "-c", "ip -br addr show dev eth1; ip -o link show dev eth1; exec sleep 1000")
    lab.ok("lab", "up", "-", stdin=pair(pod("r1", *command), pod("r2", *command)))
    machine.eventually(lambda: "link/ether" in lab.ok("lab", "logs", "r2"), "r2 wrote nothing")
    assert "10.0.0.1/24" in lab.ok("lab", "logs", "r1")
    assert "10.0.0.2/24" in lab.ok("lab", "logs", "r2")


def test_command_is_the_first_process_with_its_environment_and_volumes(lab):
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c"},
        "data": {"router.conf": "hostname one\n"},
    }
    volumes = [{"name": "v", "configMap": {"name": "c"}}, {"name": "e", "emptyDir": {}}]
    mounts = [
        {"name": "v", "mountPath": "/nowhere/on/this/machine"},
        {"name": "v", "mountPath": "/etc/router/router.conf", "subPath": "router.conf", "readOnly": True},
        {"name": "e", "mountPath": "/run/empty"},
    ]
    script = "echo $$$$ $GREETING; cat /nowhere/on/this/machine/router.conf /etc/router/router.conf; exec sleep 1000"
    container = {"env": [{"name": "GREETING", "value": "hi"}], "volumeMounts": mounts}
    one = pod("r1", "sh", "-c", script, container=container, volumes=volumes, hostname="one")
    lab.ok("lab", "up", "-", stdin=text(config, topology("r1"), one))
    expected = "1 hi\nhostname one\nhostname one\n"
    machine.eventually(lambda: lab.ok("lab", "logs", "r1") == expected, "the command did not see its volumes")
    assert lab.sh("r1", "touch /run/empty/x /nowhere/y; hostname; echo $GREETING").split() == ["one", "hi"]
    assert lab.run("lab", "exec", "r1", "--", "sh", "-c", "echo > /etc/router/router.conf").returncode != 0
    assert lab.sh("r1", "test -d /usr/bin -a -e /etc/passwd && echo machine") == "machine"
    assert not os.path.exists("/nowhere")
    assert not os.path.exists("/etc/router")


def test_command_has_no_signals_ignored_or_blocked(lab):
    """Whoever started the lab: a script has what it starts in the background ignore the signals of keys.

    But for those that the C library keeps for itself, which nobody can set: what make starts ignores one.
    """
    settable = sum(1 << number - 1 for number in signal.valid_signals())
    before = signal.signal(signal.SIGQUIT, signal.SIG_IGN)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    try:
        lab.ok("lab", "up", "-", stdin=text(pod("r1", "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        signal.signal(signal.SIGQUIT, before)
    machine.eventually(lambda: "SigIgn" in lab.ok("lab", "logs", "r1"), "it did not run")
    told = dict(line.split() for line in lab.ok("lab", "logs", "r1").splitlines())
    assert {name: int(mask, 16) & settable for name, mask in told.items()} == {"SigBlk:": 0, "SigIgn:": 0}


def test_ended_command_is_started_again_in_the_same_sandbox(lab):
    command = ("sh", "-c", "readlink /proc/self/ns/net; cat /sys/class/net/eth1/ifindex; sleep 0.3; exit 3")
    lab.ok("lab", "up", "-", stdin=pair(pod("r1", *command), pod("r2")))
    machine.eventually(lambda: lab.ok("lab", "logs", "r1").count("net:") >= 3, "it was not started again twice")
    lines = lab.ok("lab", "logs", "r1").split()
    assert len(set(lines[0::2])) == 1
    assert len(set(lines[1::2])) == 1


def test_command_that_shall_not_restart_stays_ended(lab):
    lab.ok("lab", "up", "-", stdin=pair(pod("r1", "sh", "-c", "echo once", restartPolicy="Never"), pod("r2")))
    machine.eventually(lambda: "once" in lab.ok("lab", "logs", "r1"), "it did not run")
    time.sleep(1.5)  # the first delay is a second
    assert lab.ok("lab", "logs", "r1") == "once\n"
    assert lab.sh("r1", "ls /sys/class/net").split() == ["eth1", "lo"]


def test_missing_program_is_told_in_the_log(lab):
    lab.ok("lab", "up", "-", stdin=pair(pod("r1", "no-such-program"), pod("r2")))
    machine.eventually(lambda: "no-such-program: No such file" in lab.ok("lab", "logs", "r1"), "not told")


def test_restart_makes_a_new_sandbox_and_the_peer_keeps_its_interface(lab):
    lab.ok("lab", "up", "-", stdin=pair())
    facts = "readlink /proc/self/ns/net; cat /sys/class/net/eth1/ifindex"
    mine, peers = lab.sh("r1", facts), lab.sh("r2", facts)
    lab.ok("lab", "restart", "r1")
    assert lab.sh("r1", facts).split()[0] != mine.split()[0]
    assert lab.sh("r2", facts) == peers
    lab.ok("wait", "--for", "up", "r1:eth1")
    assert "1 received" in lab.sh("r2", "ping -c 1 -W 5 10.0.0.1")


def test_stop_and_start(lab):
    lab.ok("lab", "up", "-", stdin=pair())
    lab.ok("lab", "stop", "r2")
    lab.ok("lab", "stop", "r2")
    carrier = "cat /sys/class/net/eth1/carrier"
    machine.eventually(lambda: lab.sh("r1", carrier) == "0", "the peer keeps its carrier")
    refused = lab.run("lab", "exec", "r2", "--", "true")
    assert (refused.returncode, "not started" in refused.stderr) == (1, True)
    lab.ok("lab", "start", "r2")
    assert lab.run("lab", "start", "r2").returncode == 1
    machine.eventually(lambda: lab.sh("r1", carrier) == "1", "the peer gets no carrier")


TRAPS = ("sh", "-c", "trap 'echo asked; exit 0' TERM; echo ready; while :; do sleep 0.05; done")
BLOCKS = """
import signal, time
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
print("ready", flush=True)
"""
WAITS = BLOCKS + "signal.sigwait({signal.SIGTERM}); print('asked')"
"""As tini and dumb-init do."""
LOOKS = BLOCKS + "while not signal.sigpending(): time.sleep(0.05)\nprint('asked')"
"""As who has a signalfd."""
COMMANDS = {"traps": TRAPS, "waits": (sys.executable, "-c", WAITS), "looks": (sys.executable, "-c", LOOKS)}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_stop_lets_a_command_end_by_itself(lab, command):
    lab.ok("lab", "up", "-", stdin=pair(pod("r1", *command), pod("r2")))
    machine.eventually(lambda: "ready" in lab.ok("lab", "logs", "r1"), "it did not start")
    lab.ok("lab", "stop", "r1")
    assert lab.ok("lab", "logs", "r1") == "ready\nasked\n"


def test_primary_bridge_gives_eth0(lab):
    lab.ok("lab", "up", "--primary", "bridge", "-", stdin=pair())
    assert "10.244.1." in lab.sh("r1", "ip -br addr show dev eth0")
    assert "10.0.0.1/24" in lab.sh("r1", "ip -br addr show dev eth1")
    lab.ok("lab", "restart", "r1")
    assert lab.sh("r1", "ls /sys/class/net").split() == ["eth0", "eth1", "lo"]


def test_run_pings_every_link_both_ways(lab):
    done = lab.run("lab", "run", "-", stdin=ring(4))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 links, 8 pings, 0 links with a ping unanswered" in done.stdout
    assert done.stdout.count("8 of 8 link ends up") == 1
    assert lab.gone()


def test_a_quiet_run_of_no_links_says_nothing(lab):
    done = lab.run("lab", "run", "--quiet", "-", stdin=text(pod("r1")))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_run_of_a_command(lab, tmp_path):
    file = tmp_path / "pair.yml"
    file.write_text(pair())
    words = (*lab.command, "lab", "exec", "r1", "--", "ping", "-c1", "-W5", "10.0.0.2")
    assert lab.run("lab", "run", str(file), "--", *words).returncode == 0
    assert lab.run("lab", "run", str(file), "--", "sh", "-c", "exit 9").returncode == 9
    assert lab.run("lab", "run", str(file), "--", "echo", "said").stdout.endswith("\nsaid\n")
    assert lab.name not in lab.ok("lab", "list")


def test_link_without_a_peer_is_named_and_the_lab_stays(lab):
    documents = text(topology("r1", link(1, "eth1", "r2:eth1", "10.0.0.1/24")), pod("r1"))
    done = lab.run("lab", "up", "--wait", "0.5", "-", stdin=documents)
    assert done.returncode == 1
    assert "default/r1:eth1" in done.stderr
    assert "PeerMissing" in done.stderr
    assert lab.sh("r1", "cat /sys/class/net/eth1/carrier") == "0"


def test_name_that_runs_is_refused(lab):
    lab.ok("lab", "up", "-", stdin=pair())
    done = lab.run("lab", "up", "-", stdin=pair())
    assert (done.returncode, "runs already" in done.stderr) == (2, True)
    assert lab.sh("r1", "echo lives") == "lives"


def test_logs_follow_until_the_lab_ends(lab):
    lab.ok("lab", "up", "-", stdin=pair(pod("r1", "sh", "-c", "echo begin; exec sleep 1000"), pod("r2")))
    with lab.start("lab", "logs", "-f", "r1", stdout=subprocess.PIPE) as follower:
        assert follower.stdout.readline() == b"begin\n"
        with pytest.raises(TimeoutError):
            _wait(follower, 0.7)
        lab.ok("lab", "down", lab.name)
        assert _wait(follower, 20) == 0


def test_who_waits_for_links_hears_that_the_lab_has_ended(lab):
    lab.ok("lab", "up", "-", stdin=pair())
    with lab.start("wait", "--for", "down", "--timeout", "60") as waiting:
        with pytest.raises(TimeoutError):
            _wait(waiting, 1)
        lab.ok("lab", "down", lab.name)
        assert _wait(waiting, 20) == 3


def test_links_are_up_for_who_waits_also_when_no_daemon_says_so_but_he_is_told(lab):
    lab.ok("lab", "up", "-", stdin=pair())
    lab.ok("lab", "node", "n1", "kill")
    done = lab.run("wait", "--for", "up")
    assert (done.returncode, done.stderr.startswith("not reached: n1 (")) == (0, True)


def test_supervisor_killed_leaves_nothing(lab):
    lab.ok("lab", "up", "-", stdin=pair(pod("r1", "sleep", "1000"), pod("r2")))
    shell = lab.start("lab", "exec", "r1", "--", "sleep", "1000")
    machine.eventually(lambda: "sleep 1000" in lab.sh("r1", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"), "not started")
    os.kill(lab.pid, signal.SIGKILL)
    assert _wait(shell, 20) != 0
    machine.eventually(lab.gone, "processes are left")
    assert lab.name not in lab.ok("lab", "list")


@pytest.mark.parametrize("delay_s", [0.0, 0.02, 0.1, 0.3, 0.6])
def test_caller_killed_in_mid_up_leaves_nothing(lab, tmp_path, delay_s):
    file = tmp_path / "ring.yml"
    file.write_text(ring(60))
    caller = lab.start("lab", "up", str(file))
    machine.eventually(lambda: lab.name in lab.ok("lab", "list") or caller.poll() is not None, "no record")
    time.sleep(delay_s)
    finished = caller.poll() is not None
    caller.kill()
    _wait(caller, 20)
    if not finished:
        # `up` may just have handed over: then the lab is whole, and `down` ends it
        time.sleep(0.5)
    if lab.name not in lab.ok("lab", "list"):
        machine.eventually(lab.gone, "processes are left")
    else:
        assert len(lab.json("get", "links")) == 60


def _wait(process, timeout_s: float) -> int:
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
