"""What can go wrong with the machines under test."""

from __future__ import annotations


class ClusterError(Exception):
    """Something of the cluster failed; the text says what, and what it said."""


class CannotHereError(ClusterError):
    """This machine cannot have a cluster, for the reason that the text gives: tests are skipped."""
