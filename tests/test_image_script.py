"""What the script that builds the image refuses before it builds anything."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "scripts" / "image"


def test_a_processor_that_no_image_is_for_is_an_error(tmp_path: Path) -> None:
    environment = {**os.environ, "ARCH": "sparc", "XDG_CACHE_HOME": str(tmp_path / "cache")}

    command = [SCRIPT, tmp_path / "meshnet.tar"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)

    assert done.returncode == 1
    assert "ARCH: 'sparc'" in done.stderr
    assert "amd64 or arm64" in done.stderr
    assert list(tmp_path.iterdir()) == []
