"""The kit's tests of links between nodes are proven by drivers that are broken on purpose, as in `test_kit_bites`."""

import pytest

# The kit is imported here, so that the inner runs find it loaded.
from meshnet.driver import LinkDriver
from meshnet.testing.drivers import DriverTests
from tests.testing import far_saboteurs
from tests.testing.stranger.meshnet_stranger.stream import StreamWire
from tests.testing.test_kit_bites import AMONG_OTHERS, EXACTLY
from tests.testing.tunnel import Tunnel

pytest_plugins = "pytester"
pytestmark = [pytest.mark.kernel, pytest.mark.slow, pytest.mark.timeout(300)]

CAUGHT_BY = {
    "MarksWithItsOwnId": "test_frames_pass_both_ways",
    "MarksWithTheUid": "test_equal_names_in_two_namespaces_do_not_mix",
    "ForgetsToTurn": "test_a_running_link_can_be_pointed_at_another_peer",
    "LeadsToBoth": "test_a_running_link_can_be_pointed_at_another_peer",
    "RemembersThePeer": "test_a_peer_may_come_back_in_a_new_sandbox[on another node]",
    "KnowsOnePeerAPod": "test_a_pod_has_links_to_many_nodes",
    "LeaksItsTunnel": "test_unpatch_removes_all_it_made",
    "LeavesHalfATunnel": "test_a_failed_patch_leaves_nothing",
    "NeedsItsPeer": "test_a_peer_that_is_not_known_yet_does_no_harm",
    "MakesItAnew": "test_a_restart_is_hardly_noticed",
    "FindsByAlias": "test_a_running_link_can_be_pointed_at_another_peer",
    "TakesTheNewerOnes": "test_an_older_sandbox_leaves_what_a_newer_one_has",
    "DeletesByFirstLetter": "test_unpatch_leaves_foreign_devices_alone",
    "PromisesTooMuch": "test_the_largest_mtu_fits_the_underlay",
    "SpeaksForTheNode": "test_the_nodes_keep_out_of_the_link",
    "CopiesToTheNode": "test_the_nodes_keep_out_of_the_link",
    "TurnsOffloadsOn": "test_a_receiver_sees_honest_frames",
    "EatsVlanTags": "test_frames_pass_both_ways",
    "Truncates": "test_the_mtu_is_honoured",
    "CarriesWhatIsCommon": "test_the_largest_mtu_fits_the_underlay[9000]",
    "LeavesNothingToDo": "test_offload_can_be_put_on_and_taken_off",
    "GivesToAll": "test_two_links_do_not_mix",
    "KeepsMemory": "test_many_patches_leave_nothing",
    "KeepsTasks": "test_many_patches_leave_nothing",
    "KeepsOpen": "test_many_patches_leave_nothing",
    "DiesWithItsStream": "test_traffic_returns_with_the_underlay",
    "WaitsForItsPeer": "test_patch_returns_a_splice_that_is_there",
    "TakesLeave": "test_a_peer_that_cannot_be_reached_holds_nothing_up",
    "TakesItsTime": "test_a_restart_is_hardly_noticed",
    "CriesWolf": "test_a_failed_path_is_told",
    "KeepsComplaining": "test_a_failed_path_is_told",
    "SaysNothing": "test_a_failed_path_is_told",
}


@pytest.fixture
def failing(pytester):
    """A function: run the kit on a driver and return the names of the tests that fail."""

    def run(driver, *arguments):
        tells = 3.0 if issubclass(driver, StreamWire) else None
        pytester.makepyfile(
            test_it=f"""
            from {driver.__module__} import {driver.__name__}
            from meshnet.testing.drivers import DriverTests

            class TestIt(DriverTests):
                driver_class = {driver.__name__}
                limit_s = 2.0
                tells_within_s = {tells}
            """
        )
        record = pytester.inline_run("-q", "-p", "no:asyncio", *arguments)
        passed, _, failed = record.listoutcomes()
        assert passed or failed
        return {report.nodeid.rpartition("::")[2] for report in failed}

    return run


def test_a_right_driver_fails_nowhere(failing):
    """Those that are broken here are the same, or pass the kit from their wheel: `test_wheels`."""
    assert failing(Tunnel) == set()


@pytest.mark.parametrize("name", CAUGHT_BY)
def test_a_wrong_driver_is_caught_by_the_test_named_for_it(failing, name):
    test, _, case = CAUGHT_BY[name].partition("[")
    words = " and ".join(case.rstrip("]").split())

    failed = failing(getattr(far_saboteurs, name), "-k", f"{test} and {words}" if words else test)

    assert failed
    assert {each.partition("[")[0] for each in failed} == {test}


def test_a_driver_of_both_kinds_is_tested_with_each(pytester):
    pytester.makepyfile(
        test_it="""
        from meshnet.driver import Scope
        from meshnet.testing.drivers import DriverTests
        from tests.testing.hop import Hop
        from tests.testing.tunnel import Tunnel

        class Both(Tunnel):
            scopes = Scope.SAME_NODE | Scope.BETWEEN_NODES

            async def patch(self, link, peer):
                return peer.port or await super().patch(link, peer)

        class TestBoth(DriverTests):
            driver_class = Both

        class TestOne(DriverTests):
            driver_class = Both
            scope = Scope.SAME_NODE
        """
    )

    result = pytester.runpytest("-v", "-p", "no:asyncio", "-k", "ping or known_yet")

    assert result.parseoutcomes() == {"passed": 4, "skipped": 1, "deselected": result.parseoutcomes()["deselected"]}
    result.stdout.fnmatch_lines_random(
        [
            "*TestBoth::test_the_ends_can_ping_each_other[[]same node[]] PASSED*",
            "*TestBoth::test_the_ends_can_ping_each_other[[]between nodes[]] PASSED*",
            "*TestBoth::test_a_peer_that_is_not_known_yet_does_no_harm PASSED*",
            "*TestOne::test_the_ends_can_ping_each_other PASSED*",
        ]
    )


def test_every_saboteur_is_tried():
    made_here = {
        name
        for name, found in vars(far_saboteurs).items()
        if isinstance(found, type) and found.__module__ == far_saboteurs.__name__ and issubclass(found, LinkDriver)
    }

    assert made_here == CAUGHT_BY.keys()


def test_every_test_of_the_kit_catches_somebody():
    catching = {*AMONG_OTHERS.values(), *CAUGHT_BY.values()}.union(*EXACTLY.values())

    assert {test.partition("[")[0] for test in catching} == {
        name for name in dir(DriverTests) if name.startswith("test_")
    }
