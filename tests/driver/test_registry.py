"""Who is in, who is out and why, who is chosen, and what happens at start and stop."""

import asyncio
import contextlib
import re
import signal

import pytest

from meshnet.cli.lab.ending import ToldToEnd
from meshnet.driver import LinkDriver, LinkError, Scope
from meshnet.driver.catalog import NodeCatalog
from meshnet.driver.registry import Registry


def driver(name, *, aliases=(), claims=Scope.SAME_NODE, rank=0, **members):
    async def patch(self, link, peer):
        return peer.port

    declared = {"name": name, "aliases": aliases, "claims": claims, "rank": rank, "patch": patch}
    return type(name.title(), (LinkDriver,), {"api": 1, "scopes": Scope.SAME_NODE | claims, **declared, **members})


def names(entries):
    return [entry.name for entry in entries]


def test_names_and_aliases_are_found_in_any_case():
    registry = Registry.of(driver("wire", aliases=("WIRE", "Cable")))

    assert {registry.get(name).name for name in ("wire", "WIRE", "cable", "CABLE")} == {"wire"}


def test_a_driver_that_is_not_there_is_told_with_what_is():
    with pytest.raises(LinkError, match=re.escape("driver 'wier' is not installed on this node; installed: wire")) as e:
        Registry.of(driver("wire")).get("wier")

    assert e.value.reason == "DriverMissing"


def test_a_broken_driver_is_told_with_its_reason_when_it_is_asked_for():
    with pytest.raises(LinkError, match=r"driver 'wire' of given 0 is broken: .*patch is missing"):
        Registry.of(driver("wire", patch=LinkDriver.patch)).get("wire")


@pytest.mark.parametrize("extra", ["aliases = 'FINE'", "scopes = 0", "api = 9", "def patch(self, link, peer): pass"])
def test_an_installed_driver_with_a_wrong_declaration_stops_no_other(site, extra):
    site.install_driver("aa-wrong", driver="wrong", extra=extra, version="4.0")
    site.install_driver("zz-fine", driver="fine")

    registry = Registry.load(entry_points=site.entry_points())

    (broken,) = registry.broken()
    assert (broken.name, broken.distribution, broken.version) == ("wrong", "aa-wrong", "4.0")
    assert names(registry.usable()) == ["fine"]


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"driver": "wire"}, "name 'wire' is taken by driver wire of aa-first 1.5"),
        ({"driver": "cable"}, "name 'cable' is taken by driver wire of aa-first 1.5"),
        ({"driver": "other", "aliases": ("Wire",)}, "alias 'Wire' is taken by driver wire of aa-first 1.5"),
        ({"driver": "other", "aliases": ("CABLE",)}, "alias 'CABLE' is taken by driver wire of aa-first 1.5"),
    ],
)
def test_the_second_of_one_name_is_broken_and_told_who_had_it_first(site, second, said):
    site.install_driver("aa-first", driver="wire", aliases=("Cable",), version="1.5")
    site.install_driver("bb-second", **second)

    registry = Registry.load(entry_points=site.entry_points())

    (broken,) = registry.broken()
    assert broken.distribution == "bb-second"
    assert said in broken.reason
    assert registry.get("wire").distribution == "aa-first"


def test_a_constructor_that_raises_makes_a_driver_broken():
    class Wire(driver("wire")):
        def __init__(self):
            raise RuntimeError("no licence")

    (broken,) = Registry.of(Wire).broken()

    assert ".Wire() raised RuntimeError: no licence" in broken.reason


class Oath(BaseException):
    """Neither an Exception nor able to say what it is."""

    def __str__(self):
        raise self


def test_who_interrupts_while_drivers_are_loaded_is_heard():
    class Wire(driver("wire")):
        def __init__(self):
            raise ToldToEnd(signal.SIGTERM)

    with pytest.raises(ToldToEnd):
        Registry.of(Wire)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SystemExit(3), "SystemExit: 3"),
        (Oath(), "Oath"),
        (RuntimeError("two\nlines \x1b[31m \ud800"), r"RuntimeError: two lines \x1b[31m \ud800"),
    ],
)
def test_whatever_a_constructor_raises_the_driver_alone_is_broken(error, said):
    class Wire(driver("wire")):
        def __init__(self):
            raise error

    registry = Registry.of(Wire, driver("fine"))

    (broken,) = registry.broken()
    assert f".Wire() raised {said}; right would be" in broken.reason
    assert names(registry.usable()) == ["fine"]


@pytest.mark.parametrize("attribute", ["rank", "name"])
def test_a_class_that_cannot_even_be_looked_at_is_broken(attribute):
    class Trap:
        def __get__(self, instance, owner):
            raise SystemExit("hands off")

    wire = driver("wire")
    setattr(wire, attribute, Trap())
    registry = Registry.of(wire, driver("fine"))

    assert "reading its declaration raised SystemExit: hands off" in registry.broken()[0].reason
    assert names(registry.usable()) == ["fine"]


def test_claimants_come_by_rank():
    registry = Registry.of(driver("low", rank=-5), driver("high", rank=10), driver("none", claims=Scope(0)))

    assert names(registry.claimants(Scope.SAME_NODE)) == ["high", "low"]
    assert registry.claimants(Scope.BETWEEN_NODES) == []


def test_a_claimant_that_does_not_start_says_so_from_then_on():
    async def start(self, ctx):
        raise LinkError("No", "no such device")

    registry = Registry.of(driver("one", start=start))
    assert [entry.unusable for entry in registry.claimants(Scope.SAME_NODE)] == [""]

    asyncio.run(registry.start_all(lambda _: None))

    assert [entry.unusable for entry in registry.claimants(Scope.SAME_NODE)] == ["no such device"]


def test_equal_rank_is_an_error_that_names_both_and_the_setting():
    registry = Registry.of(driver("one"), driver("two"), driver("low", rank=-1))

    with pytest.raises(LinkError, match=r"one .*two .*claim same node.*MESHNET_PREFER_SAME_NODE") as error:
        registry.claimants(Scope.SAME_NODE)

    assert error.value.reason == "DriverAmbiguous"


def test_an_equal_rank_below_the_highest_is_none_of_anybodys_business():
    registry = Registry.of(driver("one"), driver("two"), driver("high", rank=1))

    assert names(registry.claimants(Scope.SAME_NODE))[0] == "high"


def test_configuration_decides():
    drivers = driver("one"), driver("two"), driver("high", rank=1)

    registry = Registry.of(*drivers, prefer={Scope.SAME_NODE: "TWO"})

    assert names(registry.claimants(Scope.SAME_NODE))[0] == "two"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("gone", r"MESHNET_PREFER_EXTERNAL=gone: driver 'gone' is not installed"),
        ("one", r"MESHNET_PREFER_EXTERNAL=one: driver one makes links of kind same node, not external"),
    ],
)
def test_a_configured_driver_that_cannot_be_is_an_error_that_names_the_setting(wanted, said):
    registry = Registry.of(driver("one"), prefer={Scope.EXTERNAL: wanted})

    with pytest.raises(LinkError, match=said):
        registry.claimants(Scope.EXTERNAL)


def started(*drivers, limit_s=5.0):
    """A registry after start_all, with the context each driver was given."""
    registry = Registry.of(*drivers)
    asyncio.run(registry.start_all(lambda name: f"context of {name}", limit_s=limit_s))
    return registry


def test_a_driver_that_cannot_start_is_unusable_here_with_its_reason():
    async def start(self, ctx):
        raise LinkError("ModuleMissing", f"the kernel has no wire module ({ctx})")

    async def stray(self, ctx):
        return {}["x"]

    async def slow(self, ctx):
        await asyncio.sleep(60)

    registry = started(
        driver("refuses", start=start), driver("stray", start=stray), driver("slow", start=slow), driver("fine"),
        limit_s=0.05,
    )  # fmt: skip

    assert names(registry.usable()) == ["fine"]
    assert registry.get("refuses").unusable == "the kernel has no wire module (context of refuses)"
    assert registry.get("stray").unusable == "driver stray: KeyError: 'x'"
    assert registry.get("slow").unusable == "driver slow: start took longer than 0.05 s"
    assert registry.broken() == []


def late(name="late", refusal=None):
    """A driver that cannot start before it is `ready`, and remembers which instances were started."""

    class Late(driver(name)):
        ready = False
        started = ()

        async def start(self, ctx):
            type(self).started += (self,)
            if not self.ready:
                raise refusal or LinkError("NotYet", "not yet")

    return Late


def again(registry):
    return asyncio.run(registry.start_again(lambda name: None))


def test_a_driver_that_could_not_start_is_started_again_as_another_instance():
    one, fine = late(), late("fine")
    fine.ready = True
    registry = started(one, fine)

    assert [entry.unusable for entry in again(registry)] == ["not yet"]
    one.ready = True
    (entry,) = again(registry)

    assert (entry.name, entry.unusable, names(registry.usable())) == ("late", "", ["fine", "late"])
    assert len(set(one.started)) == 3
    assert entry.driver is registry.get("late").driver is one.started[-1]
    assert len(fine.started) == 1
    assert again(registry) == []


def test_what_started_late_is_stopped_at_the_end():
    stopped = []

    class Late(late()):
        async def stop(self):
            stopped.append(self)

    registry = started(Late)
    Late.ready = True
    again(registry)
    asyncio.run(registry.stop_all())

    assert stopped == [Late.started[-1]]


def test_who_can_never_start_is_left_alone(monkeypatch):
    monkeypatch.setattr("meshnet.driver.calls.GRACE_S", 0.05)
    never = late("never", LinkError("ByteOrder", "not on this machine", retry=False))
    tries = []

    async def hang(self, ctx):
        tries.append(self)
        for _ in range(2):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)

    registry = started(never, driver("hung", start=hang), limit_s=0.05)

    assert again(registry) == []
    assert (len(never.started), len(tries)) == (1, 1)
    assert registry.get("never").unusable == "not on this machine"


def test_who_was_too_slow_once_is_started_again():
    pauses = [60, 0]

    async def slow(self, ctx):
        await asyncio.sleep(pauses.pop(0))

    registry = started(driver("slow", start=slow), limit_s=0.05)

    assert [entry.unusable for entry in again(registry)] == [""]


def test_a_driver_that_cannot_be_made_again_says_so():
    one = late()
    registry = started(one)

    def broken(self):
        raise ValueError("no more")

    one.__init__ = broken
    (entry,) = again(registry)

    assert "ValueError: no more" in entry.unusable


def test_stop_all_stops_what_was_started_and_outlives_a_failure(caplog):
    stopped = []

    async def stop(self):
        stopped.append(self.name)
        raise RuntimeError("stuck")

    async def start(self, ctx):
        raise LinkError("No", "no")

    registry = started(driver("one", stop=stop), driver("two", stop=stop), driver("never", start=start, stop=stop))
    asyncio.run(registry.stop_all())
    asyncio.run(registry.stop_all())

    assert sorted(stopped) == ["one", "two"]
    assert "driver one: RuntimeError: stuck" in caplog.text


def test_a_catalog_gives_links_only_what_works_here():
    async def start(self, ctx):
        raise LinkError("No", "no such device")

    catalog = NodeCatalog(started(driver("high", rank=1, start=start), driver("low")))

    assert catalog.find("high") is None
    assert catalog.find("LOW").name == "low"
    unusable, missing = catalog.refusal("high"), catalog.refusal("gone")
    assert unusable.reason == "DriverUnusable"
    assert str(unusable) == "driver 'high' does not work on this node: no such device"
    assert missing.reason == "DriverMissing"
    assert "not installed" in str(missing)
    with pytest.raises(LinkError, match="high claims this kind of link but does not work on this node: no such device"):
        catalog.claimants(Scope.SAME_NODE)


def test_a_catalog_gives_the_claimants_first_choice_first():
    catalog = NodeCatalog(started(driver("high", rank=1), driver("low")))

    assert [each.name for each in catalog.claimants(Scope.SAME_NODE)] == ["high", "low"]
