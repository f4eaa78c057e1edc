"""What the docs say to take meshnet off every node, on a cluster whose nodes have long names."""

import os
import subprocess

import pytest
import yaml

from tests.docs.pages import KUBERNETES, ROOT, blocks

NODES = ("n1", "ip-192-168-171-205.eu-central-1.compute.internal.example", ".".join(["n" * 62] * 4))
LONGEST = 63
"""Characters of a Job's name, which is a label of its pods; an object's may have 253."""
RANDOM = 5
"""Characters that the server adds to a `generateName`."""

KUBECTL = """#!/bin/sh
case "$1" in
    get) printf 'node/%s\\n' $NODES ;;
    create) { echo ---; cat; } >> "$MADE" ;;
    apply) echo "apply takes no generateName" >&2; exit 1 ;;
esac
"""


@pytest.fixture
def jobs(tmp_path):
    """What the page's commands have kubectl create."""
    (text,) = [block.text for block in blocks(KUBERNETES / "install.md") if "uninstall/job.yaml" in block.text]
    program, made = tmp_path / "kubectl", tmp_path / "made.yaml"
    program.write_text(KUBECTL)
    program.chmod(0o700)
    variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "NODES": " ".join(NODES), "MADE": str(made)}
    subprocess.run(["bash", "-euo", "pipefail", "-c", text], cwd=ROOT, env=variables, check=True, timeout=30)
    return [job for job in yaml.safe_load_all(made.read_text()) if job]


def test_every_node_has_a_job_of_its_own(jobs):
    assert [job["spec"]["template"]["spec"]["nodeName"] for job in jobs] == list(NODES)


def test_a_jobs_name_is_short_whatever_the_nodes(jobs):
    for job in jobs:
        assert "name" not in job["metadata"]
        assert len(job["metadata"]["generateName"]) + RANDOM <= LONGEST
        assert job["metadata"]["labels"] == {"app": "meshnet-uninstall"}
