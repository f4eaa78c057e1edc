"""Programs that benchmarks need: in C, compiled the way the plugin is, into the benchmark's own /run; in Go, cached."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BUILD = Path("/run/bench")
_GO_S = 480
_WHY_NOT = ".why-not"


def build_hook() -> Any:
    """Return the module that compiles the plugin."""
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compiled(source: Path, directory: Path = BUILD) -> Path:
    """Return the static program of a C file, made in `directory`. Ends the benchmark when there is no compiler."""
    program = directory / source.stem
    if not build_hook().compile_plugin(source, program):
        sys.exit(f"{source.name}: a C compiler is needed (musl-gcc or cc with a static libc)")
    return program


def built_with_go(module: Path, *, may_build: bool, cache: Path | None = None) -> tuple[Path | None, str]:
    """Return the program of a Go module, or None and why there is none.

    Args:
        module: its directory.
        may_build: False in the namespaces of a benchmark, where no module can be fetched: it is to be there already.
        cache: where programs are kept, one for each state of the sources (default: with the user's other caches).
    """
    cache = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "meshnet-bench"
    program = cache / f"{module.name}-{_digest(module)}"
    why_not = program.with_name(program.name + _WHY_NOT)
    if program.exists():
        return program, ""
    if not may_build:
        return None, why_not.read_text() if why_not.exists() else f"{module.name} was not built"
    cache.mkdir(parents=True, exist_ok=True)
    why = _build(module, program)
    if why:
        why_not.write_text(why)
        return None, why
    why_not.unlink(missing_ok=True)
    return program, ""


def _build(module: Path, program: Path) -> str:
    """Build a Go module; return ``""``, or what is wrong."""
    if shutil.which("go") is None:
        return f"{module.name} is not compared with, since there is no Go toolchain"
    fresh = program.with_name(f"{program.name}.{os.getpid()}")
    command = ["go", "build", "-trimpath", "-o", str(fresh), "."]
    try:
        done = subprocess.run(command, cwd=module, capture_output=True, text=True, timeout=_GO_S, check=False)
    except subprocess.TimeoutExpired:
        return f"{module.name} cannot be built within {_GO_S} s"
    if done.returncode:
        return f"{module.name} cannot be built: {done.stderr.strip()[-300:]}"
    fresh.replace(program)
    return ""


def _digest(module: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted([*module.rglob("*.go"), module / "go.mod", module / "go.sum"]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
