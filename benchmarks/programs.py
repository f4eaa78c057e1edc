"""C programs that benchmarks need, compiled the way the plugin is, into the benchmark's own /run."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BUILD = Path("/run/bench")


def build_hook() -> Any:
    """Return the module that compiles the plugin."""
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compiled(source: Path) -> Path:
    """Return the static program of a C file. Ends the benchmark when there is no compiler."""
    program = BUILD / source.stem
    if not build_hook().compile_plugin(source, program):
        sys.exit(f"{source.name}: a C compiler is needed (musl-gcc or cc with a static libc)")
    return program
