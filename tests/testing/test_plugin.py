"""The pytest plugin: in everybody's way as little as can be, and honest about what it cannot do."""

import shutil
import subprocess
import sys

import pytest

from meshnet.testing.node import NIC

pytest_plugins = "pytester"


def test_it_imports_nothing_of_meshnet_before_it_is_used():
    script = "import sys, meshnet.testing.plugin\nprint(*(name for name in sys.modules if name.startswith('meshnet')))"

    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)

    assert loaded.stdout.split() == ["meshnet", "meshnet.testing", "meshnet.testing.plugin"]


def test_an_unrelated_run_passes_with_everything_strict(pytester):
    pytester.makepyfile("def test_mine(): assert True")

    result = pytester.runpytest_subprocess("-W", "error", "--strict-markers", "--strict-config", "-p", "no:asyncio")

    result.assert_outcomes(passed=1)


def test_its_marker_is_known(pytester):
    pytester.makepyfile("import pytest\n\n@pytest.mark.kernel\ndef test_mine(): assert True")

    pytester.runpytest_subprocess("--strict-markers", "-p", "no:asyncio").assert_outcomes(passed=1)


@pytest.mark.kernel
def test_where_namespaces_may_not_be_made_a_test_is_skipped_with_the_reason(pytester):
    pytester.makepyfile("def test_mine(meshnet_node): assert False")
    # root without the one capability that it takes
    without = [shutil.which("setpriv"), "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]
    command = [*without, sys.executable, "-m", "pytest", "-rs", "-p", "no:asyncio", pytester.path]

    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    assert "1 skipped" in result.stdout
    assert "make a network namespace: Operation not permitted (EPERM): run as root, or in a user" in result.stdout


@pytest.mark.kernel
def test_a_node_has_a_nic_and_pods(meshnet_node, meshnet_pod):
    assert meshnet_node.link(NIC).carrier
    assert meshnet_pod("r1") is meshnet_pod("r1") is not meshnet_pod("r2")
    with meshnet_pod("r1").enter() as inside:
        assert inside.netns_fd == meshnet_pod("r1").fd


@pytest.mark.kernel
def test_a_node_leaves_nothing(pytester):
    pytester.makepyfile(
        """
        import os

        seen = []

        def state():
            return os.stat("/proc/thread-self/ns/net").st_ino, sorted(os.listdir("/proc/self/fd"))

        def test_before():
            seen.append(state())

        def test_node(meshnet_node):
            meshnet_node.pod("r1")
            assert state() != seen[0]

        def test_after():
            assert state() == seen[0]
        """
    )

    pytester.runpytest_subprocess("-p", "no:asyncio").assert_outcomes(passed=3)
