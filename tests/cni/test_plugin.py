import json
import os
import resource
import shutil
import subprocess
import sys

import pytest

import meshnet.cni.plugin
from meshnet.cni.plugin import front_script, plugin_command
from meshnet.errors import MeshnetError


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """An installation without a compiled plugin; the path where one would be."""
    program = tmp_path / "package" / "bin" / "meshnet"
    monkeypatch.setattr(meshnet.cni.plugin, "PROGRAM", program)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return program


def version(program):
    env = {"CNI_COMMAND": "VERSION"}
    done = subprocess.run([program], env=env, input=b"{}", capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    return json.loads(done.stdout)["cniVersion"]


def test_the_compiled_one_is_preferred(installed, compiled):
    installed.parent.mkdir(parents=True)
    shutil.copy(compiled, installed)
    assert plugin_command() == installed
    assert version(installed) == "1.1.0"


def test_without_one_a_script_runs_anywhere(installed, tmp_path):
    script = plugin_command()
    assert script == installed.with_name("meshnet-front")
    copy = shutil.copy(script, tmp_path / "meshnet")
    assert version(copy) == "1.1.0"


def test_the_script_is_written_once_and_again_when_it_is_another(installed):
    script = plugin_command()
    before = script.stat()
    assert plugin_command().stat().st_ino == before.st_ino
    script.write_text("#!/bin/false\n")
    assert version(plugin_command()) == "1.1.0"
    assert os.listdir(script.parent) == [script.name]


def test_a_package_that_cannot_be_written_to_uses_the_cache(installed, tmp_path):
    (tmp_path / "package").touch()
    assert plugin_command() == tmp_path / "cache" / "meshnet" / "meshnet-front"


def test_who_has_no_home_needs_none_where_the_package_has_it(installed, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 987654)  # nobody knows that user, as in a container
    assert plugin_command() == installed.with_name("meshnet-front")


def test_a_locale_of_ascii_alone_is_enough(installed, tmp_path):
    python = tmp_path / "Zoë" / "python3"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    code = f"from meshnet.cni import plugin; plugin.PROGRAM = plugin.Path('{installed}'); plugin.plugin_command()"
    env = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([python, "-c", code], env=env, timeout=20, check=True)
    script = installed.with_name("meshnet-front")
    assert script.read_text().startswith(f"#!{python} ")
    assert version(script) == "1.1.0"


def test_what_could_not_be_written_whole_is_not_left(installed, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # as on a disk with room for that much
    try:
        with pytest.raises(MeshnetError, match="File too large"):
            plugin_command()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_nowhere_to_write_is_an_error_that_names_the_places(installed, tmp_path):
    (tmp_path / "package").touch()
    (tmp_path / "cache").touch()
    with pytest.raises(MeshnetError) as caught:
        plugin_command()
    assert str(installed.with_name("meshnet-front")) in str(caught.value)
    assert str(tmp_path / "cache" / "meshnet" / "meshnet-front") in str(caught.value)


@pytest.mark.parametrize("name", ["with space", "it's", "x" * 130, "$(false)"])
def test_any_path_of_python_starts(tmp_path, name):
    python = tmp_path / name / "python3"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    script = tmp_path / "meshnet"
    script.write_text(front_script(str(python)))
    script.chmod(0o755)
    assert version(script) == "1.1.0"
