"""Wheels as a user builds them, from a copy of this checkout."""

import json
import os
import re
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.cni.conftest import ROOT

pytestmark = pytest.mark.slow
SOURCES = ("meshnet", "pyproject.toml", "hatch_build.py", "LICENSE", ".gitignore")
PT_INTERP = 3


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    copy = tmp_path_factory.mktemp("checkout")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__", "bin"))
        else:
            shutil.copy(source, copy / name)
    (copy / "README.md").write_text("# meshnet\n")
    return copy


def build(checkout, kind, path=None):
    """Build with the tools of this Python and no network; the file that came out."""
    out = checkout / f"dist-{kind}-{'bare' if path is not None else 'full'}"
    env = os.environ | ({} if path is None else {"PATH": path})
    command = [sys.executable, "-m", "build", "--no-isolation", f"--{kind}", "--outdir", str(out), str(checkout)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.iterdir()
    return built


def build_editable(checkout, out, **environ):
    code = "import hatchling.build, sys; hatchling.build.build_editable(sys.argv[1])"
    command, env = [sys.executable, "-c", code, out], os.environ | environ
    done = subprocess.run(command, cwd=checkout, env=env, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def program_headers(elf):
    """Types of the program headers of a 64-bit little-endian ELF file."""
    assert elf[:6] == b"\x7fELF\x02\x01"
    (offset,) = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    return [struct.unpack_from("<I", elf, offset + index * size)[0] for index in range(count)]


@pytest.mark.usefixtures("compiled")
def test_with_a_compiler_the_wheel_holds_a_static_program(checkout, tmp_path):
    wheel = build(checkout, "wheel")
    # what an index of packages takes; ``linux_x86_64`` it does not
    assert re.search(r"-py3-none-manylinux_2_17_(\w+)\.musllinux_1_1_\1\.whl$", wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        entry = archive.getinfo("meshnet/cni/bin/meshnet")
        assert entry.external_attr >> 16 & stat.S_IXUSR
        assert PT_INTERP not in program_headers(archive.read(entry))
        assert not [name for name in archive.namelist() if name.endswith(".c")]
    assert answers(installed(wheel, tmp_path)) == ("bin/meshnet", "1.1.0")


def test_without_a_compiler_the_wheel_is_pure_and_works(checkout, tmp_path):
    wheel = build(checkout, "wheel", path=str(tmp_path / "empty"))
    assert wheel.name.endswith("-py3-none-any.whl")
    assert answers(installed(wheel, tmp_path)) == ("bin/meshnet-front", "1.1.0")


def test_the_source_distribution_has_what_a_wheel_is_built_from(checkout):
    with tarfile.open(build(checkout, "sdist")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"meshnet/cni/plugin.c", "meshnet/cni/front.py", "hatch_build.py", "pyproject.toml"} <= names
    assert not [name for name in names if name.startswith("meshnet/cni/bin/")]


@pytest.mark.usefixtures("compiled")
def test_an_editable_install_compiles_in_place(checkout, tmp_path):
    program = checkout / "meshnet/cni/bin/meshnet"
    program.unlink(missing_ok=True)
    build_editable(checkout, tmp_path)
    assert PT_INTERP not in program_headers(program.read_bytes())


@pytest.mark.usefixtures("compiled")
def test_a_build_never_takes_away_the_program_that_is_in_use(checkout, tmp_path):
    program = checkout / "meshnet/cni/bin/meshnet"
    program.parent.mkdir(exist_ok=True)
    program.write_text("the one before")
    witness, seen = tmp_path / "tools" / "musl-gcc", tmp_path / "seen"
    witness.parent.mkdir()
    witness.write_text(f"#!/bin/sh\ncat {program} >{seen}\nexit 1\n")
    witness.chmod(0o755)

    build_editable(checkout, tmp_path, PATH=f"{witness.parent}:{os.environ['PATH']}")

    assert seen.read_text() == "the one before"
    assert PT_INTERP not in program_headers(program.read_bytes())


def test_a_compiler_that_fails_leaves_no_program(build_hook, tmp_path, capfd):
    (tmp_path / "broken.c").write_text("int main(void) { return nothing; }")
    assert not build_hook.compile_plugin(tmp_path / "broken.c", tmp_path / "bin/meshnet")
    assert list((tmp_path / "bin").iterdir()) == []


def installed(wheel, tmp_path):
    """Where an installer puts the package, with the modes of the wheel."""
    site = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", "--target", site, wheel]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return site


def answers(site):
    """Which plugin an installation offers, and the version that it answers with."""
    code = "from meshnet.cni.plugin import plugin_command; print(plugin_command())"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=site, capture_output=True, text=True, timeout=20, check=True
    )
    program = Path(found.stdout.strip())
    env = {"CNI_COMMAND": "VERSION"}
    answer = subprocess.run([program], env=env, input=b"{}", capture_output=True, timeout=20, check=True)
    return str(program.relative_to(site / "meshnet/cni")), json.loads(answer.stdout)["cniVersion"]
