"""What is decided for a directory, in each state that it may be in."""

from __future__ import annotations

import json

import pytest

from meshnet.cni.install.names import LIST, OLD_CONFIG, OLD_LINK_TYPE
from meshnet.cni.install.plan import plan
from tests.cni.install.conftest import flannel, write

MULTUS = {"name": "m", "cniVersion": "0.3.1", "type": "multus"}
BY_PATH = {**MULTUS, "clusterNetwork": f"/host/etc/cni/net.d/{LIST}"}
INSIDE = {**MULTUS, "delegates": [{"type": "meshnet"}]}


@pytest.fixture
def directory(places):
    return places.conf_dir


def ours(directory, *types):
    write(directory / LIST, {"name": "cbr0", "plugins": [{"type": name} for name in types]})


def test_the_first_list_is_followed(directory):
    write(directory / "05-calico.conflist", flannel(name="calico"))

    decided = plan(directory)

    assert decided.source == "05-calico.conflist"
    assert json.loads(decided.content)["name"] == "calico"
    assert (decided.problem, decided.remarks, decided.remove, decided.chained) == ("", (), (), False)


def test_nothing_to_follow(directory):
    (directory / "10-flannel.conflist").unlink()

    assert (plan(directory).content, plan(directory).remove) == (None, ())
    assert "install a primary network" in plan(directory).problem

    ours(directory, "flannel", "meshnet")

    assert (plan(directory).content, plan(directory).remove) == (None, ())
    assert f"{LIST} stays" in plan(directory).problem


def test_a_broken_first_list_is_not_passed_over(directory):
    write(directory / "05-new.conflist", '{"name": ')

    decided = plan(directory)

    assert (decided.content, decided.remove, decided.source) == (None, (), "")
    assert "05-new.conflist" in decided.problem


def test_a_broken_later_list_is_not_looked_at(directory):
    write(directory / "20-new.conflist", "")

    assert plan(directory).problem == ""


def test_a_link_to_nowhere_is_no_absence(directory):
    (directory / "05-new.conflist").symlink_to("nowhere")

    assert "05-new.conflist: No such file" in plan(directory).problem


def test_one_that_sorts_before_ours_is_named(directory):
    write(directory / "00-first.conflist", flannel())

    decided = plan(directory)

    assert "rename it to 10-first.conflist" in decided.problem
    assert decided.content


def test_one_chained_by_a_user_is_left_alone(directory):
    write(directory / "10-flannel.conflist", flannel(plugins=[{"type": "flannel"}, {"type": "meshnet", "x": 1}]))

    decided = plan(directory)

    assert (decided.chained, decided.content, decided.problem) == (True, None, "")
    assert decided.remove == (LIST,)


def test_one_that_calls_meshnet_by_itself_is_left_alone(directory):
    write(directory / "00-multus.conf", INSIDE)

    assert (plan(directory).chained, plan(directory).content) == (True, None)


@pytest.mark.parametrize("multus", [BY_PATH, INSIDE])
def test_one_that_took_our_list_for_its_primary_is_not_followed(directory, multus):
    write(directory / "00-multus.conf", multus)
    ours(directory, "flannel", "portmap", "meshnet")

    decided = plan(directory)

    assert (decided.source, decided.remove) == ("10-flannel.conflist", ())
    assert [plugin["type"] for plugin in json.loads(decided.content)["plugins"]] == ["flannel", "portmap", "meshnet"]
    assert "00-multus.conf calls meshnet" in decided.remarks[0]


@pytest.mark.parametrize("multus", [BY_PATH, INSIDE])
def test_one_before_our_list_that_calls_it_hides_nothing(directory, multus):
    """Renamed as one that hides it should be, it would be passed over by the runtime itself."""
    write(directory / "00-a-multus.conf", multus)
    ours(directory, "flannel", "portmap", "meshnet")

    decided = plan(directory)

    assert (decided.source, decided.problem) == ("10-flannel.conflist", "")
    assert "00-a-multus.conf calls meshnet" in decided.remarks[0]


def test_our_list_stays_while_another_needs_it(directory):
    write(directory / "00-multus.conf", BY_PATH)
    write(directory / "10-flannel.conflist", flannel(plugins=[{"type": "meshnet"}, {"type": "flannel"}]))
    ours(directory, "flannel", "meshnet")

    decided = plan(directory)

    assert decided.remove == ()
    assert [plugin["type"] for plugin in json.loads(decided.content)["plugins"]] == ["meshnet", "flannel"]


def test_leftovers_of_upstream_go_and_are_not_followed(directory):
    write(directory / OLD_CONFIG, {"name": "meshnet_network", "type": "meshnet", "delegate": {"type": "flannel"}})
    write(directory / OLD_LINK_TYPE, "GRPC\n")

    decided = plan(directory)

    assert decided.source == "10-flannel.conflist"
    assert set(decided.remove) == {OLD_CONFIG, OLD_LINK_TYPE}
    assert "'GRPC'" in decided.remarks[0]
    assert "INTER_NODE_LINK_TYPE" in decided.remarks[0]


def test_a_leftover_that_is_not_even_json_goes(directory):
    write(directory / OLD_CONFIG, '{"cniVersion":"0.2.0", "type" : "meshnet", "delegate": }')

    assert plan(directory).remove == (OLD_CONFIG,)


def test_somebodys_own_file_of_the_old_name_stays(directory):
    write(directory / OLD_CONFIG, {"name": "x", "type": "bridge"})

    decided = plan(directory)

    assert (decided.remove, decided.source) == ((), OLD_CONFIG)
    assert "sorts before" in decided.problem
