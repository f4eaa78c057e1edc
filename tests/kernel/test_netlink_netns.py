"""Network namespaces, on the real kernel."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshnet.errors import KernelError
from meshnet.netlink import Ethtool, LinkMonitor, Netlink, links
from meshnet.netlink.netns import anonymous_netns, delete_netns, entered, new_netns, nsid, open_netns, own_netns
from tests.kernel.pods import make_pod

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.kernel


def here() -> int:
    return Path("/proc/thread-self/ns/net").stat().st_ino


@pytest.fixture
def named(node_ns: int, tmp_path: Path) -> str:
    path = str(tmp_path / "pod")
    try:
        new_netns(path)
    except KernelError as error:
        if error.errno == errno.EPERM:
            pytest.skip(f"{error}: no right to mount")
        raise
    return path


def test_named_namespace_lives_until_its_name_goes(named: str) -> None:
    home = here()
    fd = open_netns(named)
    try:
        with entered(fd):
            assert here() == os.fstat(fd).st_ino
            assert here() != home
        with Netlink.open(fd) as netlink:
            assert [links.parse_link(payload).name for payload in netlink.dump(links.dump_links())] == ["lo"]
    finally:
        os.close(fd)
        delete_netns(named)

    assert here() == home
    assert not Path(named).exists()
    assert named not in Path("/proc/self/mountinfo").read_text()


def test_a_taken_name_is_refused_and_stays(named: str) -> None:
    before = Path(named).stat().st_ino
    with pytest.raises(KernelError, match=named) as caught:
        new_netns(named)

    assert caught.value.errno == errno.EEXIST
    assert Path(named).stat().st_ino == before
    delete_netns(named)


def test_deleting_what_is_not_there_is_success(tmp_path: Path) -> None:
    delete_netns(str(tmp_path / "nobody"))


def test_deleting_a_name_without_a_namespace_removes_it(node_ns: int, tmp_path: Path) -> None:
    path = tmp_path / "left-over"
    path.touch()
    delete_netns(str(path))

    assert not path.exists()


def test_opening_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KernelError, match="nobody") as caught:
        open_netns(str(tmp_path / "nobody"))

    assert caught.value.errno == errno.ENOENT


def test_new_namespace_in_a_missing_folder(node_ns: int, tmp_path: Path) -> None:
    with pytest.raises(KernelError, match="make the network namespace") as caught:
        new_netns(str(tmp_path / "missing" / "pod"))

    assert caught.value.errno == errno.ENOENT


def test_entered_comes_back_after_an_error(new_ns: Callable[[], int]) -> None:
    home = here()
    elsewhere = new_ns()

    def fail_inside() -> None:
        with entered(elsewhere):
            assert here() == os.fstat(elsewhere).st_ino
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()

    assert here() == home


def test_entered_nests(new_ns: Callable[[], int]) -> None:
    home = here()
    outer, inner = new_ns(), new_ns()
    with entered(outer):
        with entered(inner):
            assert here() == os.fstat(inner).st_ino

        assert here() == os.fstat(outer).st_ino

    assert here() == home


def test_entering_what_is_no_namespace(tmp_path: Path) -> None:
    home = here()
    with (
        (tmp_path / "file").open("w") as file,
        pytest.raises(KernelError, match="enter a network namespace") as caught,
        entered(file.fileno()),
    ):
        pytest.fail("entered a file")

    assert caught.value.errno == errno.EINVAL
    assert here() == home


def test_nsid_is_given_once_and_is_the_veths(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    numbered, pod = new_ns(), new_ns()
    first = nsid(netlink, numbered)

    assert first >= 0
    assert nsid(netlink, numbered) == first
    assert nsid(netlink, pod) != first
    assert make_pod(netlink, pod, 1).port.link_nsid == nsid(netlink, pod)


def test_nsid_of_what_is_no_namespace(netlink: Netlink) -> None:
    with open("/dev/null") as null, pytest.raises(KernelError):
        nsid(netlink, null.fileno())


def test_no_descriptor_is_left(netlink: Netlink, new_ns: Callable[[], int], tmp_path: Path) -> None:
    pod = new_ns()
    make_pod(netlink, pod, 1)

    def everything() -> None:
        with Netlink.open(pod), Ethtool(pod):
            nsid(netlink, pod)
        with LinkMonitor() as monitor:
            monitor.read()
        os.close(anonymous_netns())
        os.close(own_netns())
        for path in (tmp_path / "missing" / "pod", tmp_path):
            with pytest.raises(KernelError):
                new_netns(str(path))

    everything()
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(20):
        everything()

    assert sorted(os.listdir("/proc/self/fd")) == before
