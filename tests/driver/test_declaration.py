"""Every attribute and method of a declaration, wrong in one way, told by a sentence that says what would be right."""

import attrs
import pytest

from meshnet.driver import API, LinkDriver, Scope, declaration
from meshnet.driver.declaration import declaration_problems


class Right(LinkDriver):
    api = API
    name = "right"
    aliases = ("RIGHT-ALIAS",)
    scopes = Scope.SAME_NODE | Scope.EXTERNAL
    claims = Scope.EXTERNAL

    async def patch(self, link, peer):
        return peer.port


@attrs.frozen
class TakesCoresOption:
    offload: bool = False


@attrs.frozen
class Undecodable:
    what: "NoSuchType" = None  # noqa: F821


async def coroutine(self, *_):
    return None


def plain(self, *_):
    return None


async def no_peer(self, link):
    return None


WRONG = {
    "api missing": ({"api": None}, "api is None; right would be 1"),
    "api too new": ({"api": API + 1}, "upgrade meshnet-cni"),
    "api of no release": ({"api": 0}, "upgrade the driver"),
    "name missing": ({"name": None}, "name is None; right would be lower-case letters"),
    "name upper case": ({"name": "VETH"}, "name is 'VETH'; right would be lower-case"),
    "aliases a string": ({"aliases": "OTHER"}, "aliases is 'OTHER'; right would be a tuple of names"),
    "aliases not names": ({"aliases": (3,)}, "aliases is (3,); right would be a tuple of names"),
    "scopes empty": ({"scopes": Scope(0)}, "scopes is <Scope: 0>; right would be one or more of Scope"),
    "scopes a string": ({"scopes": "same node"}, "scopes is 'same node'; right would be one or more of Scope"),
    "claims a string": ({"claims": "all"}, "claims is 'all'; right would be a Scope"),
    "claims beyond scopes": ({"claims": Scope.BETWEEN_NODES}, "more than its scopes"),
    "rank a string": ({"rank": "high"}, "rank is 'high'; right would be an int"),
    "rank a bool": ({"rank": True}, "rank is True; right would be an int"),
    "options an instance": ({"options": {}}, "options is {}; right would be an attrs class"),
    "options no attrs class": ({"options": dict}, "right would be an attrs class"),
    "options takes core's": ({"options": TakesCoresOption}, "the field 'offload', which is core's own"),
    "options undecodable": ({"options": Undecodable}, "cannot be decoded: NameError"),
    "attachment a string": ({"attachment": "port"}, "attachment is 'port'; right would be Attachment.PORT"),
    "carries a string": ({"carries": "any frame"}, "carries is 'any frame'; right would be Carries.ANY_FRAME"),
    "honest an int": ({"honest": 1}, "honest is 1; right would be True or False"),
    "patch missing": (
        {"patch": LinkDriver.patch},
        "patch is missing; right would be: async def patch(self, link, peer",
    ),
    "patch not async": ({"patch": plain}, "patch is not async; right would be: async def patch"),
    "patch without peer": ({"patch": no_peer}, "patch(self, link) cannot be called as patch(link, peer)"),
    "unpatch not async": ({"unpatch": plain}, "unpatch is not async"),
    "discard not async": ({"discard": plain}, "discard is not async"),
    "inspect not async": ({"inspect": plain}, "inspect is not async"),
    "start not async": ({"start": plain}, "start is not async"),
    "stop no method": ({"stop": 3}, "stop is 3; right would be a method"),
    "set_carrier not async": ({"set_carrier": plain}, "set_carrier is not async"),
    "counters not async": ({"counters": plain}, "counters is not async"),
    "mtu_limit async": ({"mtu_limit": coroutine}, "mtu_limit is async; right would be a plain"),
}


def test_a_right_declaration_has_no_problems():
    assert declaration_problems(Right) == []


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_declaration_says_what_would_be_right(case):
    members, said = WRONG[case]

    (problem,) = declaration_problems(type("Wrong", (Right,), members))

    assert said in problem


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        (Right(), "is not a class; register the driver class itself"),
        ("right", "'right' is not a class"),
        (int, "class int is not a subclass of meshnet.driver.LinkDriver"),
        (LinkDriver, "LinkDriver itself was registered"),
    ],
)
def test_what_is_no_driver_class_is_told_apart(candidate, said):
    (problem,) = declaration_problems(candidate)

    assert said in problem


def test_an_attribute_never_given_is_missing():
    class Bare(LinkDriver):
        api = API

    problems = "; ".join(declaration_problems(Bare))

    assert "name is missing" in problems
    assert "scopes is missing" in problems
    assert "patch is missing" in problems


def test_the_version_before_is_accepted(monkeypatch):
    monkeypatch.setattr(declaration, "API", 3)
    monkeypatch.setattr(declaration, "ACCEPTED_API", range(2, 4))

    said = {api: declaration_problems(type("Versioned", (Right,), {"api": api})) for api in (1, 2, 3, 4)}

    assert said[2] == said[3] == []
    assert said[1] == ["api is 1, this meshnet speaks 2 or 3: upgrade the driver"]
    assert said[4] == ["api is 4, this meshnet speaks 2 or 3: upgrade meshnet-cni"]
