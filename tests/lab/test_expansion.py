"""``$(NAME)`` as Kubernetes has it."""

from __future__ import annotations

import pytest

from meshnet.lab.expansion import expand


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain $A ${A}", "plain $A ${A}"),
        ("$(A)", "1"),
        ("$(A)$(B)x", "12x"),
        ("$(C)", "$(C)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$(A", "$(A"),
        ("$", "$"),
        ("$()", "$()"),
    ],
)
def test_variables_are_expanded_as_kubernetes_does_it(text, expanded):
    assert expand(text, {"A": "1", "B": "2"}) == expanded
