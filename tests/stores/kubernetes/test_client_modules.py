from __future__ import annotations

import subprocess
import sys

import pytest


def loaded_after(script: str) -> set[str]:
    """The modules that are there after a script, in a process of its own."""
    script += "\nimport sys; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)
    return set(done.stdout.splitlines()[-1].split())


def test_who_has_another_store_does_not_pay() -> None:
    loaded = loaded_after("from meshnet.stores.open import open_store; open_store('sqlite:x'); open_store('memory:')")
    assert not {"kubernetes", "urllib3"} & loaded


def test_what_is_needed_comes_without_a_class_for_each_type_of_the_api() -> None:
    loaded = loaded_after(
        "from meshnet.stores.kubernetes.client_modules import client_modules\n"
        "rest, kube_config = client_modules('client.rest', 'config.kube_config')\n"
        "assert rest.RESTClientObject and kube_config.load_kube_config"
    )
    assert "urllib3" in loaded
    assert not [name for name in loaded if name == "kubernetes" or name.startswith("kubernetes.")]


@pytest.mark.parametrize("sooner", ["", "import kubernetes.client\n"])
def test_others_in_the_process_have_the_whole_package(sooner: str) -> None:
    loaded = loaded_after(
        f"{sooner}from meshnet.stores.kubernetes.client_modules import client_modules\n"
        "(ours,) = client_modules('client.configuration')\n"
        "import kubernetes\n"
        "assert kubernetes.client.CoreV1Api and kubernetes.client.ApiClient(ours.Configuration())"
    )
    assert "kubernetes.client" in loaded


def test_a_release_that_needs_more_of_its_packages_is_imported_whole(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("release") / "kubernetes"
    for package in (root, root / "client", root / "config", root / "utils"):
        package.mkdir()
        (package / "__init__.py").write_text("NEEDED = 1\n")
    (root / "client/configuration.py").write_text("from kubernetes.client import NEEDED\nclass Configuration: pass\n")
    loaded = loaded_after(
        f"import sys; sys.path.insert(0, {str(root.parent)!r})\n"
        "from meshnet.stores.kubernetes.client_modules import client_modules\n"
        "(ours,) = client_modules('client.configuration')\n"
        "assert ours.NEEDED"
    )
    assert "kubernetes.client" in loaded
