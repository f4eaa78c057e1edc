from __future__ import annotations

import json
from typing import TYPE_CHECKING

from meshnet.cli.cluster.signin import SignedIn
from tests.cli.cluster.configs import kubeconfig

if TYPE_CHECKING:
    from pathlib import Path


def test_a_program_that_signs_in_runs_once(tmp_path: Path) -> None:
    program = tmp_path / "sign-in"
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "t0k"}}
    program.write_text(f"#!/bin/sh\necho ran >>{tmp_path}/log\necho '{json.dumps(credential)}'\n")
    program.chmod(0o755)
    path = tmp_path / "config"
    config = json.loads((tmp_path / kubeconfig(path, "a", current="a")).read_text())
    config["users"][0]["user"] = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(program),
            "interactiveMode": "Never",
        }
    }
    path.write_text(json.dumps(config))

    access = SignedIn(str(path), "a")
    first, second = access.configuration(), access.configuration()

    assert first is second
    assert first[0].auth_settings()["BearerToken"]["value"] == "Bearer t0k"
    assert (tmp_path / "log").read_text() == "ran\n"
