"""The kit is proven by drivers that are broken on purpose: each fails in the tests named for it, and in no other."""

import pytest

# The kit is imported here, so that the inner runs find it loaded.
import meshnet.testing.drivers  # noqa: F401
from meshnet.driver import LinkDriver
from tests.testing import saboteurs
from tests.testing.hop import Hop
from tests.testing.relay import Relay

pytest_plugins = "pytester"
pytestmark = pytest.mark.kernel

TRAFFIC = {
    "test_frames_pass_both_ways",
    "test_the_ends_can_ping_each_other",
    "test_a_receiver_sees_honest_frames",
    "test_offload_can_be_put_on_and_taken_off",
    "test_the_mtu_is_honoured",
    "test_names_may_be_as_long_as_the_kernel_allows",
    "test_two_links_do_not_mix",
    "test_a_pod_can_be_linked_to_itself",
    "test_traffic_flows_on_after_a_restart",
}
REMOVED_AFTER_RESTART = "test_unpatch_removes_all_it_made[restarted driver]"
REMOVES_ALL = {"test_unpatch_removes_all_it_made[same driver]", REMOVED_AFTER_RESTART}

EXACTLY = {
    "LeaksItsLink": REMOVES_ALL,
    "LeavesARule": REMOVES_ALL,
    "LeavesAForwardingEntry": REMOVES_ALL,
    "MakesItTwice": {"test_patch_again_changes_nothing", "test_a_restarted_driver_adopts_what_is_there"},
    "ForgetsAtRestart": {"test_a_restarted_driver_adopts_what_is_there"},
    "DeletesByName": {"test_unpatch_leaves_foreign_devices_alone"},
    "DeletesByTheKind": {
        "test_unpatch_leaves_foreign_devices_alone",
        "test_what_others_have_marked_is_left_alone",
    },
    "SplicesTheWrongInterface": TRAFFIC,
    "WorksOneWay": TRAFFIC,
    "IgnoresTheMtu": {"test_the_mtu_is_honoured"},
    "Hangs": {"test_unpatch_twice_is_success"},
    "ReturnsTheWrongType": {"test_inspect_reports_exactly_what_is_there", "test_what_is_inspected_can_be_discarded"},
    "InspectsItsMemory": {"test_inspect_reports_exactly_what_is_there"},
    "MixesLinks": {"test_two_links_do_not_mix", "test_a_pod_can_be_linked_to_itself"},
    "IsDishonest": {"test_a_receiver_sees_honest_frames"},
    "LeavesHalf": {"test_a_failed_patch_leaves_nothing"},
    "ForgetsItsSockets": REMOVES_ALL - {REMOVED_AFTER_RESTART},
    "CannotDiscard": {"test_what_is_inspected_can_be_discarded"},
    "DiscardsTooMuch": {"test_what_is_inspected_can_be_discarded"},
    "GivesNoReason": {"test_a_failed_patch_leaves_nothing"},
    "CountsInWords": {"test_counters_can_be_read"},
    "ShortNamesOnly": {"test_names_may_be_as_long_as_the_kernel_allows"},
    "KeepsDescriptors": REMOVES_ALL,
    "CleansUpAtStop": {
        "test_a_restarted_driver_adopts_what_is_there",
        "test_traffic_flows_on_after_a_restart",
        "test_what_is_inspected_can_be_discarded",
    },
    "LeavesSomethingAtStart": {"test_start_and_stop_leave_nothing", REMOVED_AFTER_RESTART},
    "TakesTheName": {"test_a_failed_patch_leaves_nothing"},
    "TakesNoCarrier": {"test_carrier_can_be_taken_and_given"},
    "MacvlanOfOneMtu": {"test_the_mtu_is_honoured"},
}
"""Every test that fails."""

AMONG_OTHERS = {
    "SplicesNothing": "test_patch_returns_a_splice_that_is_there",
    "SplicesThePortItself": "test_patch_returns_a_splice_that_is_there",
    "NamesAnotherInterface": "test_patch_returns_a_splice_that_is_there",
    "BlocksTheLoop": "test_inspect_reports_exactly_what_is_there",
    "DropsLargeFrames": "test_the_mtu_is_honoured",
    "StopsLate": "test_start_and_stop_leave_nothing",
    "OffersBytes": "test_offers_are_json",
    "NeedsAnOption": "test_options_have_defaults_and_unknown_ones_are_refused",
    "TakesNamesOfPorts": "test_a_restarted_driver_adopts_what_is_there",
    "HasNoPatch": "test_the_declaration_is_valid",
}
"""The test named for what breaks nearly every other test as well."""


@pytest.fixture
def failing(pytester):
    """A function: run the kit on a driver and return the names of the tests that fail."""

    def run(driver, *arguments, options=None):
        pytester.makepyfile(
            test_it=f"""
            from {driver.__module__} import {driver.__name__}
            from meshnet.testing.drivers import DriverTests

            class TestIt(DriverTests):
                driver_class = {driver.__name__}
                limit_s = 1.0
                options = {options or {}!r}
            """
        )
        record = pytester.inline_run("-q", "-p", "no:asyncio", *arguments)
        passed, _, failed = record.listoutcomes()
        assert passed or failed
        return {report.nodeid.rpartition("::")[2] for report in failed}

    return run


@pytest.mark.parametrize("driver", [Hop, Relay])
def test_a_right_driver_fails_nowhere(failing, driver):
    assert failing(driver) == set()


def test_a_right_driver_fails_nowhere_with_offload(failing):
    assert failing(Hop, "-k", "honest or offload", options={"offload": True}) == set()


@pytest.mark.parametrize("name", EXACTLY)
def test_a_wrong_driver_fails_in_the_tests_named_for_it(failing, name):
    assert failing(getattr(saboteurs, name)) == EXACTLY[name]


@pytest.mark.parametrize("name", AMONG_OTHERS)
def test_a_driver_wrong_in_everything_fails_in_the_test_named_for_it(failing, name):
    test = AMONG_OTHERS[name]

    assert failing(getattr(saboteurs, name), "-k", test) == {test}


def test_every_saboteur_is_tried():
    made_here = {
        name
        for name, found in vars(saboteurs).items()
        if isinstance(found, type) and found.__module__ == saboteurs.__name__ and issubclass(found, LinkDriver)
    }

    assert made_here == EXACTLY.keys() | AMONG_OTHERS.keys()
