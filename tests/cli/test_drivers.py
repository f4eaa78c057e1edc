"""``meshnet drivers``: one that does not come to an end hides no other."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import time
from importlib import metadata
from typing import TYPE_CHECKING, Any

import pytest

from meshnet.cli.drivers import installed_drivers
from meshnet.driver import LinkDriver, Scope
from meshnet.driver.plugins import GROUP
from meshnet.driver.registry import Registry

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.kernel


class Fine(LinkDriver):
    api = 1
    name = "fine"
    scopes = Scope.SAME_NODE

    async def patch(self, link: Any, peer: Any) -> Any:
        raise NotImplementedError


class Hanging(Fine):
    name = "hanging"

    async def start(self, ctx: Any) -> None:
        await asyncio.sleep(3600)


class Stubborn(Fine):
    name = "stubborn"

    async def start(self, ctx: Any) -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)


class Elsewhere(Fine):
    name = "elsewhere"

    async def start(self, ctx: Any) -> None:
        await asyncio.to_thread(time.sleep, 3600)


class Blocking(Fine):
    name = "blocking"

    async def start(self, ctx: Any) -> None:
        time.sleep(3600)  # noqa: ASYNC251 - as somebody does for whom async is new


class Staying(Fine):
    name = "staying"

    async def stop(self) -> None:
        await asyncio.sleep(3600)


class Talking(Fine):
    name = "talking"

    async def start(self, ctx: Any) -> None:
        os.write(1, b"started\n")


def listed(monkeypatch: pytest.MonkeyPatch, *drivers: type[LinkDriver]) -> dict[str, tuple[str, str]]:
    monkeypatch.setattr(Registry, "load", lambda **_: Registry.of(*drivers))
    return {row["name"]: (row["state"], row.get("reason", "")) for row in installed_drivers(limit_s=0.2)}


@pytest.mark.parametrize("driver", [Hanging, Stubborn, Elsewhere])
def test_one_that_does_not_start_in_time_is_unusable(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], driver: type[LinkDriver]
) -> None:
    found = listed(monkeypatch, driver, Fine)

    assert found["fine"] == ("usable", "")
    state, reason = found[driver.name]
    assert state == "unusable"
    assert f"driver {driver.name}: start took longer than 0.2 s" in reason
    assert capfd.readouterr().err == ""


def test_one_that_lets_no_other_start_is_unusable(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    found = listed(monkeypatch, Blocking, Fine)

    assert found["fine"] == ("usable", "")
    state, reason = found["blocking"]
    assert state == "unusable"
    assert "driver blocking: TimeoutError: not done after 0.2 s" in reason
    assert capfd.readouterr().err == ""


def test_one_whose_import_does_not_end_is_broken(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "endless.py").write_text("import time\ntime.sleep(3600)\n")
    monkeypatch.syspath_prepend(tmp_path)
    points = [metadata.EntryPoint("endless", "endless", GROUP), *metadata.entry_points(group=GROUP)]
    monkeypatch.setattr(Registry, "load", functools.partial(Registry.load, entry_points=points))

    found = {row["name"]: (row["state"], row.get("reason", "")) for row in installed_drivers(limit_s=2)}

    assert found.pop("endless") == ("broken", "endless: TimeoutError: not done after 2 s")
    assert set(found.values()) == {("usable", "")}
    assert capfd.readouterr().err == ""


def test_no_import_takes_the_time_of_the_next(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / f"{name}.py").write_text("import time\ntime.sleep(0.8)\n")
    monkeypatch.syspath_prepend(tmp_path)
    points = [metadata.EntryPoint(name, name, GROUP) for name in ("one", "two", "three")]
    monkeypatch.setattr(Registry, "load", functools.partial(Registry.load, entry_points=points))

    reasons = [row["reason"] for row in installed_drivers(limit_s=2)]

    assert [reason.partition(";")[0] for reason in reasons] == [
        f"{name}: registers no driver" for name in ("one", "three", "two")
    ]


def test_one_that_does_not_stop_is_usable_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    assert listed(monkeypatch, Staying, Fine) == {"staying": ("usable", ""), "fine": ("usable", "")}


def test_what_one_prints_while_it_starts_is_no_part_of_the_list(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert listed(monkeypatch, Talking) == {"talking": ("usable", "")}
    assert capfd.readouterr() == ("", "started\n")


def test_those_that_need_an_underlay_have_one_to_try() -> None:
    """Whether vxlan works on this kernel cannot be seen otherwise."""
    states = {row["name"]: (row["state"], row.get("reason", "")) for row in installed_drivers()}

    assert states["vxlan"] == ("usable", "")
