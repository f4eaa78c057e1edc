from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from meshnet.cli.cluster.kubeconfig import Chosen, choose
from meshnet.errors import UsageError
from meshnet.model.documents import BadText
from tests.cli.cluster.configs import kubeconfig
from tests.nobody import closed

if TYPE_CHECKING:
    from pathlib import Path


def test_the_current_context_of_the_usual_file(tmp_path: Path) -> None:
    (tmp_path / ".kube").mkdir()  # the home of this test
    kubeconfig(tmp_path / ".kube/config", "a", "b", current="b", namespace="team")
    assert choose(None, None, {}) == Chosen("~/.kube/config", "b", "team")
    assert choose(None, None, {"KUBECONFIG": ""}) == choose(None, None, {})
    assert choose(None, "a", {}) == Chosen("~/.kube/config", "a", "team")


def test_several_files_are_one_and_the_first_counts(tmp_path: Path) -> None:
    one = kubeconfig(tmp_path / "one", "a", current="", namespace="first")
    two = kubeconfig(tmp_path / "two", "a", "b", current="a", namespace="second")
    environ = {"KUBECONFIG": os.pathsep.join(["", str(tmp_path / "absent"), one, two])}
    both = os.pathsep.join([one, two])
    assert choose(None, None, environ) == Chosen(both, "a", "first")
    assert choose(None, "b", environ) == Chosen(both, "b", "second")
    assert choose(two, None, environ) == Chosen(two, "a", "second")


@pytest.mark.parametrize("text", ["", "# not yet\n"])
def test_an_empty_one_of_several_files_says_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text(text)
    two = kubeconfig(tmp_path / "two", "a", current="a")
    environ = {"KUBECONFIG": os.pathsep.join([str(tmp_path / "empty"), two])}
    assert choose(None, None, environ) == Chosen(two, "a")


def test_a_context_without_a_namespace_means_default(tmp_path: Path) -> None:
    chosen = choose(kubeconfig(tmp_path / "c", "a", current="a"), None, {})
    assert chosen is not None
    assert chosen.namespace == "default"


@pytest.mark.parametrize("namespace", ["..", "My_Team", "a/b"])
def test_a_namespace_is_none_that_reads_others(namespace: str, tmp_path: Path) -> None:
    config = kubeconfig(tmp_path / "c", "a", current="a", namespace=namespace)
    with pytest.raises(UsageError, match=rf"kubeconfig .*/c: context a: namespace: '{namespace}': must be a namespace"):
        choose(config, None, {})


def test_yaml_as_people_write_it(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("# mine\ncurrent-context: a\ncontexts:\n- name: a\n  context: {namespace: x}\n")
    assert choose(str(tmp_path / "c"), None, {}) == Chosen(str(tmp_path / "c"), "a", "x")


def test_nothing_here_and_nothing_said_is_none_but_in_a_pod() -> None:
    assert choose(None, None, {}) is None
    assert choose(None, None, {"KUBECONFIG": "/nowhere"}) is None
    assert choose(None, None, {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}) == Chosen()


def test_what_is_said_must_be_there(tmp_path: Path) -> None:
    config = kubeconfig(tmp_path / "c", "a", "b")
    with pytest.raises(UsageError, match=r"--context z: there is no such context in kubeconfig .*/c; it has a, b"):
        choose(config, "z", {})
    with pytest.raises(UsageError, match="--context z: there is no kubeconfig: /nowhere; set KUBECONFIG"):
        choose(None, "z", {"KUBECONFIG": "/nowhere"})
    with pytest.raises(UsageError, match="--kubeconfig /nowhere: there is no such file"):
        choose("/nowhere", None, {})
    with pytest.raises(UsageError, match=r"current-context: names none; name one by --context \(it has a, b\)"):
        choose(config, None, {})
    with pytest.raises(UsageError, match=r"current-context: 'z': there is no such context"):
        choose(kubeconfig(tmp_path / "d", "a", current="z"), None, {})


@pytest.mark.parametrize("text", ["contexts: [", "- a"])
def test_a_file_that_is_no_kubeconfig_is_named_with_its_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "c").write_text(text)
    with pytest.raises(BadText, match=rf"{tmp_path}/c:\d"):
        choose(str(tmp_path / "c"), None, {})


@pytest.mark.parametrize("text", ["contexts: null", "contexts: []", ""])
def test_a_file_may_have_no_context(text: str, tmp_path: Path) -> None:
    (tmp_path / "c").write_text(text)
    with pytest.raises(UsageError, match="it has none"):
        choose(str(tmp_path / "c"), "a", {})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("contexts: 5", "contexts: must be a list, not a number"),
        ("contexts: [{name: a}, 5]", "contexts[1]: must be a map with name and context, not a number"),
        ("contexts: [null]", "contexts[0]: must be a map with name and context, not null"),
        ("contexts: [{name: 3}]", "contexts[0].name: must be a string (in quotes), not a number"),
        ("contexts: [{name: a, context: b}]", "contexts[0].context: must be a map, not a string"),
        ("clusters: [c]", "clusters[0]: must be a map with name and cluster, not a string"),
        ("users: [secret]", "users[0]: must be a map with name and user, not a string"),
    ],
)
def test_a_wrong_entry_is_named_with_what_is_right(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "c").write_text(f"current-context: a\n{text}\n")
    with pytest.raises(UsageError) as caught:
        choose(str(tmp_path / "c"), None, {})
    assert str(caught.value) == f"kubeconfig {tmp_path}/c: {told}"


def test_a_file_that_may_not_be_looked_at_is_named(tmp_path: Path) -> None:
    (tmp_path / ".kube").mkdir()  # the home of this test
    with closed(tmp_path / ".kube"), pytest.raises(UsageError, match=r"^kubeconfig ~/.kube/config: Permission denied$"):
        choose(None, None, {})


def test_a_file_is_read_as_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    file = tmp_path / "c"
    kubeconfig(file, "a", current="a")
    file.write_text(file.read_text().replace('"a"', '"grün"'), encoding="utf-8")
    code = "import sys; from meshnet.cli.cluster.kubeconfig import choose; print(ascii(choose(sys.argv[1], None, {})))"
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    command = [sys.executable, "-c", code, str(file)]
    done = subprocess.run(command, env=os.environ | ascii_only, capture_output=True, text=True, timeout=30, check=False)
    assert "context='gr\\xfcn'" in done.stdout, done.stderr


def test_a_file_of_bytes(tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(b"\xff")
    with pytest.raises(UsageError, match=r"/c: this is not UTF-8 text"):
        choose(str(tmp_path / "c"), None, {})
