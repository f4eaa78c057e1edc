"""What is kept and what is added, on the lists that networks really write."""

from __future__ import annotations

import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshnet.cni.install.lists import NetworkList, read_list
from meshnet.cni.install.merge import ENTRY, delegates_to_meshnet, is_chained, merged, refers_to_our_list
from meshnet.cni.install.names import Places
from meshnet.cni.install.node import install
from tests.cni.install.conftest import GOLDEN

NETWORKS = sorted(path.name for path in GOLDEN.iterdir())
WANTED = "flannel calico cilium weave kindnet k3s ptp-portmap bridge multus azure aws"


def test_every_network_is_here():
    assert set(NETWORKS) >= set(WANTED.split())


@pytest.mark.parametrize("network", NETWORKS)
def test_every_networks_list_is_merged_as_recorded_beside_its_own(tmp_path, network):
    places = Places(tmp_path / "bin", tmp_path / "net.d")
    places.bin_dir.mkdir()
    shutil.copytree(GOLDEN / network / "net.d", places.conf_dir)
    before = contents(places.conf_dir)

    install(places)

    assert places.list.read_text() == (GOLDEN / network / "merged.conflist").read_text()
    assert {**before, places.list.name: places.list.read_bytes()} == contents(places.conf_dir)
    assert places.list == min(path for path in places.conf_dir.iterdir() if path.suffix in (".conf", ".conflist"))


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
TYPES = st.sampled_from(["bridge", "ptp", "portmap", "tuning"])
PLUGINS = st.lists(
    st.builds(lambda more, name: {**more, "type": name}, st.dictionaries(st.text(), JSON, max_size=3), TYPES),
    min_size=1,
    max_size=4,
)
DOCUMENTS = st.builds(
    lambda more, plugins: {**more, "name": "net", "cniVersion": "1.0.0", "plugins": plugins},
    st.dictionaries(st.text(), JSON, max_size=3),
    PLUGINS,
)


@given(DOCUMENTS, DOCUMENTS)
def test_every_key_is_kept_and_ours_is_there_once(tmp_path_factory, document, older):
    path = tmp_path_factory.mktemp("merge") / "a.conflist"
    path.write_text(json.dumps(document))
    current = NetworkList(path, json.loads(merged(NetworkList(path, older), None)))

    made = json.loads(merged(read_list(path), current))

    assert made == {**document, "plugins": [*document["plugins"], ENTRY]}


def test_what_others_appended_to_our_list_stays(tmp_path):
    source = of("flannel", "portmap")
    current = of("flannel", "meshnet", "istio-cni")

    assert types(merged(source, current)) == ["flannel", "portmap", "meshnet", "istio-cni"]
    assert types(merged(of("flannel", "istio-cni"), current)) == ["flannel", "istio-cni", "meshnet"]
    assert types(merged(source, of("flannel", "istio-cni"))) == ["flannel", "portmap", "meshnet"]


def test_of_several_calls_of_meshnet_in_our_list_one_stays(tmp_path):
    current = of("calico", "meshnet", "istio-cni", "meshnet")

    assert types(merged(of("calico"), current)) == ["calico", "meshnet", "istio-cni"]


def test_one_that_calls_meshnet_already_is_not_made_to_call_it_twice():
    assert types(merged(of("flannel", "meshnet", "portmap"), None)) == ["flannel", "meshnet", "portmap"]


def test_who_calls_meshnet():
    inner = {"type": "multus", "delegates": [{"name": "cbr0", "plugins": [{"type": "flannel"}, {"type": "meshnet"}]}]}
    by_path = {"type": "multus-shim", "clusterNetwork": "/host/etc/cni/net.d/00-meshnet.conflist"}

    found = [
        (is_chained(one), delegates_to_meshnet(one), refers_to_our_list(one))
        for one in (of("a", "meshnet"), of(inner), of(by_path), of("a", "b"))
    ]

    assert found == [(True, False, False), (False, True, False), (False, False, True), (False, False, False)]


def of(*plugins):
    made = [{"type": plugin} if isinstance(plugin, str) else plugin for plugin in plugins]
    return NetworkList(GOLDEN, {"name": "net", "plugins": made})


def types(content):
    return [plugin["type"] for plugin in json.loads(content)["plugins"]]
