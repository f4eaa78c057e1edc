"""Which control groups a cluster gets, by what a machine has: on trees that are like those of real machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster.machine import cgroups, unified
from tests.cluster.machine.errors import ClusterError

if TYPE_CHECKING:
    from pathlib import Path

SESSION = "user.slice/user-0.slice/session-1.scope"
ALL = "cpuset cpu io memory hugetlb pids rdma misc"
CAN = {"cpu", "cpuset", "memory", "pids"}


class Machine:
    """A machine's control groups, as the kernel tells of them to a process in the group of a session."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._told: dict[str, list[str]] = {"mountinfo": ["22 1 8:1 / / rw - ext4 /dev/sda1 rw"], "cgroup": []}

    def mount(self, hierarchy: str) -> Path:
        """Mount a hierarchy of version 1, as the kernel names it."""
        self._tell(hierarchy, "cgroup", f"rw,{hierarchy}", hierarchy)
        (self.directory / hierarchy / SESSION).mkdir(parents=True)
        return self.directory / hierarchy / SESSION

    def mount_unified(self, controllers: str, place: str = "unified") -> Path:
        """Mount the hierarchy of version 2 with these controllers."""
        self._tell(place, "cgroup2", "rw,nsdelegate", "")
        group = self.directory / place
        (group / SESSION).mkdir(parents=True)
        (group / "cgroup.controllers").write_text(f"{controllers}\n")
        (group / "cgroup.subtree_control").write_text("memory pids\n")
        (group / "cgroup.procs").write_text("1\n2\n")
        return group

    def _tell(self, place: str, kind: str, options: str, hierarchy: str) -> None:
        self._told["mountinfo"].append(f"30 22 0:27 / {self.directory / place} rw shared:9 - {kind} {kind} {options}")
        self._told["cgroup"].append(f"7:{hierarchy}:/{SESSION}")
        for name, lines in self._told.items():
            (self.directory / name).write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine without any yet."""
    monkeypatch.setattr(cgroups, "PROCESS", tmp_path)
    monkeypatch.setattr(unified, "MOUNTS", tmp_path / "mountinfo")
    made = Machine(tmp_path)
    made.mount("name=systemd")
    return made


def test_version_1_is_kept_where_version_2_is_mounted_beside_it_without_controllers(machine: Machine) -> None:
    own = [machine.mount(name) for name in ("cpu,cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids")]
    machine.mount_unified("hugetlb")
    assert cgroups.why_not() == ""
    assert cgroups.tops("x") == [group / "meshnet-x" for group in own]


def test_version_2_alone_has_a_cluster_below_its_first_group_since_a_session_hands_nothing_down(
    machine: Machine,
) -> None:
    first = machine.mount_unified(ALL)
    assert cgroups.why_not() == ""
    assert cgroups.tops("x") == [first / "meshnet-x"]


def test_a_node_gets_its_controllers_from_group_to_group(machine: Machine) -> None:
    first = machine.mount_unified(ALL)
    tops = cgroups.tops("x")
    assert cgroups.make(tops, "n1") == [first / "meshnet-x/n1/cgroup.procs"]
    for group in (first, first / "meshnet-x"):
        assert set((group / "cgroup.subtree_control").read_text().split()) == {f"+{name}" for name in CAN}
    # whoever joins it must be able to, so it hands nothing down before they have gone on
    assert not (first / "meshnet-x/n1/cgroup.subtree_control").exists()


def test_what_the_kernel_refuses_is_told_by_its_group(machine: Machine) -> None:
    first = machine.mount_unified(ALL)
    (first / "cgroup.subtree_control").unlink()
    (first / "cgroup.subtree_control").mkdir()
    with pytest.raises(ClusterError, match=f"{first} gives no cpu, cpuset, memory, pids to groups below it: Is a dir"):
        cgroups.make(cgroups.tops("x"), "n1")


def test_a_machine_whose_controllers_are_divided_has_none_of_them_all(machine: Machine) -> None:
    machine.mount("memory")
    machine.mount("cpu,cpuacct")
    machine.mount_unified("cpuset io pids")
    lacking = "blkio, cpuset, devices, freezer, pids"
    assert cgroups.why_not() == f"control groups all of version 1, or all of version 2; of 1 are not here: {lacking}"


def test_without_a_controller_of_version_2(machine: Machine) -> None:
    first = machine.mount_unified("cpu io memory pids")
    assert cgroups.why_not() == f"control groups with all of cpu, cpuset, memory, pids; not so in {first}: cpuset"


def test_without_any_control_groups(machine: Machine) -> None:
    assert cgroups.why_not() == "control groups, and none are mounted here"
    assert cgroups.tops("x") == []
    covered = machine.mount_unified(ALL, "covered")
    (covered / "cgroup.controllers").unlink()
    assert cgroups.why_not() == "control groups, and none are mounted here"


def test_a_container_whose_processes_are_in_its_first_group_is_told_to_move_them(machine: Machine) -> None:
    first = machine.mount_unified(ALL)
    (first / "cgroup.type").write_text("domain\n")
    assert cgroups.why_not() == (
        f"controllers below {first}, where a container's own processes are in the way; "
        f"move them: mkdir {first}/init; xargs -rn1 <{first}/cgroup.procs >{first}/init/cgroup.procs"
    )
    (first / "cgroup.procs").write_text("")
    assert cgroups.why_not() == ""
