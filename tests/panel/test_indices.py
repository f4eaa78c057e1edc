"""Interface indexes: none is ever handed out twice while the node is up."""

from __future__ import annotations

import shutil

import pytest

from meshnet.errors import KernelError
from meshnet.panel.indices import BLOCK, FIRST, Indices


def test_they_start_high_and_never_come_again(tmp_path):
    path = tmp_path / "ifindex"
    taken = []
    for _ in range(4):
        indices = Indices(path)  # a daemon that is killed says nothing at its end
        taken += [indices.take() for _ in range(BLOCK + 3)]

    assert taken[0] == FIRST
    assert len(set(taken)) == len(taken)
    assert taken == sorted(taken)


def test_what_is_found_in_use_is_stepped_over(tmp_path):
    indices = Indices(tmp_path / "ifindex")
    indices.seen(FIRST + 5)
    assert indices.take() == FIRST + 6
    indices.seen(FIRST + 2)
    assert indices.take() == FIRST + 7
    indices.seen(FIRST + 10 * BLOCK)
    assert indices.take() == FIRST + 10 * BLOCK + 1
    assert Indices(tmp_path / "ifindex").take() > FIRST + 10 * BLOCK + 1


def test_a_number_that_cannot_be_written_down_is_not_given(tmp_path):
    """As an error of the kernel's, which is what who makes ports expects."""
    (tmp_path / "full").touch()
    indices = Indices(tmp_path / "away" / "ifindex")
    (tmp_path / "away").symlink_to("full")
    with pytest.raises(KernelError, match=r"reserve interface numbers in .*away/ifindex: File exists"):
        indices.take()


def test_a_directory_that_somebody_removed_comes_again(tmp_path):
    indices = Indices(tmp_path / "run" / "ifindex")
    taken = [indices.take() for _ in range(BLOCK)]
    shutil.rmtree(tmp_path / "run")

    assert indices.take() == taken[-1] + 1
    assert Indices(tmp_path / "run" / "ifindex").take() > taken[-1] + 1


def test_what_somebody_removed_is_put_back(tmp_path):
    path = tmp_path / "run" / "ifindex"
    indices = Indices(path)
    indices.take()
    kept = path.read_text()
    shutil.rmtree(path.parent)

    indices.put_back()

    assert path.read_text() == kept


@pytest.mark.parametrize("text", ["", "x", "12", "-1", "99999999999999999999"])
def test_a_broken_file_begins_anew(tmp_path, text):
    (tmp_path / "ifindex").write_text(text)
    assert Indices(tmp_path / "ifindex").take() == FIRST
