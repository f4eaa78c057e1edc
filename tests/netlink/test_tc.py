"""Requests about filters, and reading splices."""

from __future__ import annotations

import pytest

from meshnet.netlink import Redirect, Request, tc


@pytest.mark.parametrize(
    ("request_", "priority", "redirect"),
    [
        (tc.redirect(7, 9), 1, Redirect("mirred", 9)),
        (tc.redirect_peer(7, 9, 3), 2, Redirect("redirect_peer", 9)),
        (tc.add_ingress_drop(7), 0xC000, None),
        (tc.add_egress_own_drop(7, "02:00:00:00:00:01"), 0xC000, None),
        (tc.add_egress_drop(7), 0xC000, None),
    ],
)
def test_filter_is_read_as_it_was_written(request_: Request, priority: int, redirect: Redirect | None) -> None:
    assert tc.parse_priority(request_.body) == priority
    assert tc.parse_redirect(request_.body) == redirect


def test_strangers_filters_are_no_splices() -> None:
    ours = tc.redirect_peer(7, 9, 3).body
    for name in (b"redirect_peer>x", b"redirect_peer>", b"somebody's pr>9"):
        theirs = ours.replace(b"redirect_peer>9", name.ljust(15, b"\0")[:15])

        assert tc.parse_redirect(theirs) is None

    assert tc.parse_redirect(tc.redirect(7, 9).body.replace(b"mirred", b"police")) is None
    assert tc.parse_redirect(tc.redirect(7, 9).body[:20]) is None


def test_moving_a_redirect_names_the_same_filter() -> None:
    head = slice(0, 20)

    assert tc.redirect(7, 9).body[head] == tc.redirect(7, 10).body[head]
    assert tc.redirect_peer(7, 9, 3).body[head] == tc.redirect_peer(7, 10, 4).body[head]
    assert tc.redirect(7, 9).flags == tc.NLM_F_CREATE | tc.NLM_F_REPLACE


def test_request_says_what_it_is_about() -> None:
    assert tc.redirect(7, 9).what == "redirect link 7 to 9"
    assert tc.remove_redirect(7).what == "remove the redirect of 7"
