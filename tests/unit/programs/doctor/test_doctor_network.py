"""What `doctor` says about names and proxies."""

from mirrord.programs.doctor.findings import FindingLevel
from mirrord.programs.doctor.network import HostRoute, name_findings, proxy_findings


def test_each_proxy_has_its_hosts() -> None:
    found = [
        HostRoute("a"),
        HostRoute("b", "http://p:1"),
        HostRoute("c", "http://p:1"),
        HostRoute("d", problem="the proxy x is bad"),
    ]
    shown = [(one.verdict, one.about, one.message) for one in proxy_findings(found)]
    assert shown == [
        (FindingLevel.FAILED, "d", "the proxy x is bad"),
        (FindingLevel.OK, "http://p:1", "is used for b, c"),
    ]


def test_many_hosts_behind_a_proxy_are_counted() -> None:
    (finding,) = proxy_findings([HostRoute(f"h{number}", "http://p:1") for number in range(7)])
    assert finding.message == "is used for h0, h1, h2, h3, h4 and 2 more"


def test_no_proxy_is_told() -> None:
    (finding,) = proxy_findings([HostRoute("a")])
    assert finding.message == "no proxy is used"


def test_names_without_an_address_are_told() -> None:
    found = list(name_findings({"a": "", "b": "name or service not known"}))
    assert [(one.verdict, one.about) for one in found] == [
        (FindingLevel.FAILED, "b"),
        (FindingLevel.OK, "all other hosts"),
    ]
    (nothing,) = name_findings({})
    assert nothing.verdict is FindingLevel.SKIPPED
