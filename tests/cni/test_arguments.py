import pytest

from meshnet.cni.arguments import Args, parse_args
from meshnet.cni.error import CniError


def test_what_kubernetes_runtimes_send():
    args = parse_args(
        "IgnoreUnknown=1;K8S_POD_NAMESPACE=lab;K8S_POD_NAME=r1-0;K8S_POD_INFRA_CONTAINER_ID=ab12;"
        "K8S_POD_UID=5b0a2c7e-0c5e-4a2b-8f6a-3f6d5c1f0a11;CRIO=yes"
    )
    assert (args.pod_namespace, args.pod_name) == ("lab", "r1-0")
    assert args.pod_uid == "5b0a2c7e-0c5e-4a2b-8f6a-3f6d5c1f0a11"


@pytest.mark.parametrize("text", ["", ";", ";;"])
def test_none_is_no_pod(text):
    assert parse_args(text) == Args()


@pytest.mark.parametrize("name", ["r1", "My_Container"])
@pytest.mark.parametrize("rest", ["", ";K8S_POD_NAMESPACE="])
def test_a_name_without_a_namespace_is_podmans_for_a_container(name, rest):
    assert parse_args(f"IgnoreUnknown=1;K8S_POD_NAME={name}{rest}").pod_name == ""


@pytest.mark.parametrize("allow", ["1", "true", "TRUE", "True"])
def test_an_unknown_key_may_stand_before_what_allows_it(allow):
    assert parse_args(f"X=a=b;IgnoreUnknown={allow};K8S_POD_UID=u").pod_uid == "u"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("X=1", "CNI_ARGS: 'X': not known; IgnoreUnknown=1"),
        ("X=1;IgnoreUnknown=0", "'X': not known"),
        ("IgnoreUnknown=maybe", "IgnoreUnknown: 'maybe': 1, 0, true or false"),
        ("K8S_POD_NAME", "'K8S_POD_NAME': KEY=VALUE"),
        ("=1", "'=1': KEY=VALUE"),
        ("K8S_POD_NAMESPACE=lab;K8S_POD_NAME=../../etc", "K8S_POD_NAME: '../../etc': a name as Kubernetes has it"),
        ("K8S_POD_NAMESPACE=lab;K8S_POD_NAME=R1", "K8S_POD_NAME: 'R1'"),
        ("K8S_POD_NAMESPACE=a/b", "K8S_POD_NAMESPACE: 'a/b'"),
        ("K8S_POD_NAMESPACE=lab;K8S_POD_NAME=" + "a" * 254, "K8S_POD_NAME: 'aaa"),
        ("K8S_POD_UID=a b", "K8S_POD_UID: 'a b': a uid"),
        ("K8S_POD_NAMESPACE=lab;K8S_POD_NAME=r1\n", "K8S_POD_NAME"),
    ],
)
def test_what_is_wrong_is_named(text, said):
    with pytest.raises(CniError, match="CNI_ARGS") as caught:
        parse_args(text)
    assert caught.value.code == 4
    assert said in caught.value.msg
