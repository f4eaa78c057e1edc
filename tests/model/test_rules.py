import string
import subprocess
import sys

import pytest

from meshnet.model import rules


@pytest.mark.parametrize("name", ["eth1", "e", "a" * 15, "...", "Ethernet1", "eth0.100", "net-1_x@y", "-x", "a'\"$`"])
def test_interface_names_that_the_kernel_takes(name):
    assert rules.pod_interface(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "a" * 16, ".", "..", "a/b", "a:b", "a b", "a\tb", "a\n", "a\0b", "eth%d", "é", "à", "\x01", "\x7f", "\ud800"],
)
def test_interface_names_that_are_none(name):
    with pytest.raises(rules.RuleError, match="interface name"):
        rules.interface_name(name)


@pytest.mark.parametrize("value", [None, 1, True, ["eth1"], {}, b"eth1"])
@pytest.mark.parametrize("rule", [rules.interface_name, rules.pod_name, rules.namespace_name, rules.driver_name])
def test_a_name_is_a_string(rule, value):
    with pytest.raises(rules.RuleError, match="must be a string"):
        rule(value)


def test_lo_is_nobodys_nor_are_the_kernels_own_and_eth0_not_a_pods():
    assert rules.interface_name("eth0") == "eth0"
    with pytest.raises(rules.RuleError, match="primary"):
        rules.pod_interface("eth0")
    for rule in (rules.interface_name, rules.pod_interface):
        with pytest.raises(rules.RuleError, match="loopback"):
            rule("lo")
        for name in ("all", "default"):
            with pytest.raises(rules.RuleError, match="are every interface"):
                rule(name)


@pytest.mark.parametrize("name", ["r1", "0", "r1-0", "a.b.c", "x" * 253])
def test_pod_names_are_those_of_kubernetes(name):
    assert rules.pod_name(name) == name


@pytest.mark.parametrize("name", ["", "R1", "-a", "a-", "a..b", ".a", "a_b", "a/b", "x" * 254, "r1\n"])
def test_pod_names_that_are_none(name):
    with pytest.raises(rules.RuleError, match="pod name"):
        rules.pod_name(name)


def test_a_namespace_is_one_label():
    assert rules.namespace_name("x" * 63) == "x" * 63
    for name in ("a.b", "x" * 64, "", "A", "a\n"):
        with pytest.raises(rules.RuleError, match="namespace"):
            rules.namespace_name(name)


@pytest.mark.parametrize(("value", "uid"), [(0, 0), (1, 1), (1.0, 1), (2**63 - 1, 2**63 - 1), (16_772_216, 16_772_216)])
def test_whole_numbers_below_2_to_the_63_are_uids(value, uid):
    result = rules.uid(value)

    assert result == uid
    assert type(result) is int


@pytest.mark.parametrize(
    "value", [-1, 2**63, 1.5, True, False, "1", None, [], float("nan"), float("inf"), 1e300, 2.0**53]
)
def test_uids_that_are_none(value):
    with pytest.raises(rules.RuleError, match="whole number from 0 to 9223372036854775807"):
        rules.uid(value)


def test_mtu_bounds_are_a_veths():
    assert [rules.mtu(value) for value in (68, 1500, 65535)] == [68, 1500, 65535]
    for value in (67, 65536, "1500", True):
        with pytest.raises(rules.RuleError, match="from 68 to 65535"):
            rules.mtu(value)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("10.0.0.1/24", "10.0.0.1/24"),
        ("10.0.0.0/24", "10.0.0.0/24"),
        ("10.0.0.1/0", "10.0.0.1/0"),
        ("10.0.0.1/32", "10.0.0.1/32"),
        ("2001:DB8:0::1/64", "2001:db8::1/64"),
        ("fe80::1/128", "fe80::1/128"),
        ("::ffff:10.0.0.1/96", "::ffff:10.0.0.1/96"),
        ("127.0.0.1/8", "127.0.0.1/8"),
    ],
)
def test_cidrs_in_canonical_form(written, canonical):
    assert rules.cidr(written) == canonical
    assert rules.cidr(canonical) == canonical


@pytest.mark.parametrize(
    "value",
    [
        "",
        "10.0.0.1",
        "10.0.0.1/",
        "10.0.0.1/33",
        "10.0.0.1/-1",
        "10.0.0.1/+8",
        "10.0.0.1/08",
        "10.0.0.1/ 8",
        "10.0.0.1/²",
        "10.0.0.1/24/24",
        "10.0.0.1/255.255.255.0",
        "010.0.0.1/24",
        "10.1/24",
        "10.0.0.256/24",
        "10.0.0.1\0/24",
        "\ud800/24",
        "::1::2/64",
        "2001:db8::1/129",
        "fe80::1%eth0/64",
        "[2001:db8::1]/64",
        " 10.0.0.1/24",
        "0.0.0.0/0",
        "224.0.0.1/24",
        "255.255.255.255/32",
        "::/0",
        "::1/128",
        "ff02::1/64",
        None,
        1,
        ["10.0.0.1/24"],
        True,
    ],
)
def test_cidrs_that_no_interface_can_have(value):
    with pytest.raises(rules.RuleError, match=r"must be (one|an) address"):
        rules.cidr(value)


def test_macs_are_lower_case():
    assert rules.mac("02:00:00:AB:cd:01") == "02:00:00:ab:cd:01"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "01:00:5e:00:00:01",
        "ff:ff:ff:ff:ff:ff",
        "00:00:00:00:00:00",
        "02-00-00-00-00-01",
        "02:0:0:0:0:1",
        2,
        None,
        "02:00:00:00:00:01\n",
        "02:00:00:00:00:01:02",
        "\N{ARABIC-INDIC DIGIT ZERO}2:00:00:00:00:01",
    ],
)
def test_macs_that_are_none(value):
    with pytest.raises(rules.RuleError):
        rules.mac(value)


def test_driver_names_are_short_words():
    assert [rules.driver_name(name) for name in ("vxlan", "GRPC", "my-driver.v2")] == ["vxlan", "GRPC", "my-driver.v2"]
    for name in ("", "-a", "a b", "a/b", "x" * 64, "a\n"):
        with pytest.raises(rules.RuleError, match="link driver"):
            rules.driver_name(name)


def test_options_are_a_map_of_bounded_depth():
    deep = {"a": [[[[[[[1]]]]]]]}
    assert rules.options(deep) is deep
    for value in ([], "mode", 1, {1: 2}):
        with pytest.raises(rules.RuleError, match="map of option names"):
            rules.options(value)
    with pytest.raises(rules.RuleError, match="nested deeper than 8"):
        rules.options({"a": [[[[[[[[1]]]]]]]]})


def test_an_mtu_under_1280_takes_ipv6_off():
    assert rules.mtu_fits(1280, ("2001:db8::1/64",))
    assert not rules.mtu_fits(1279, ("10.0.0.1/24", "2001:db8::1/64"))
    assert rules.mtu_fits(68, ("10.0.0.1/24",))


NAMES = r"""
for name; do
  if ip link add name "$name" type veth peer name peer0 2>/dev/null; then printf '%s\n' "$name"; ip link del peer0; fi
done
"""
ADDRESSES = """
ip link add a0 type veth peer name a1
for address; do
  if ip address add "$address" dev a0 2>/dev/null; then echo "$address"; ip address delete "$address" dev a0; fi
done
"""


def accepted_by_the_kernel(script, values):
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", script, "sh", *values], capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout.splitlines()


def obeyed(rule, value):
    try:
        rule(value)
    except rules.RuleError:
        return False
    return True


@pytest.mark.kernel
def test_the_kernel_takes_each_interface_name_that_the_rule_takes():
    names = [f"a{char}b" for char in string.printable if char not in "\n\r\x0b\x0c"]
    names += [*list(string.punctuation), "...", "a" * 15, "a" * 16, ".", ".."]

    taken = accepted_by_the_kernel(NAMES, names)

    # The rule is the narrower one in what the kernel expands.
    assert [name for name in names if obeyed(rules.interface_name, name)] == [name for name in taken if "%" not in name]


@pytest.mark.kernel
def test_the_kernel_takes_each_address_that_the_rule_takes():
    addresses = ["10.0.0.1/24", "10.0.0.0/24", "10.0.0.255/24", "10.0.0.1/1", "127.0.0.1/8", "240.0.0.1/8", "0.1.2.3/8"]
    addresses += ["2001:db8::1/64", "2001:db8::/64", "fe80::1/64", "::ffff:1.2.3.4/96", "::2/128"]
    refused = ["::1/128", "ff02::1/64", "::/64"]
    assert not any(obeyed(rules.cidr, address) for address in refused)

    assert accepted_by_the_kernel(ADDRESSES, addresses + refused) == addresses


def test_the_module_needs_nothing_but_the_standard_library():
    code = "import sys, meshnet.model.rules; print([m for m in ('attrs', 'cattrs', 'yaml') if m in sys.modules])"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
