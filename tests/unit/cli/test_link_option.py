"""`--link`: a rate, a kind of socket, or two namespaces."""

from __future__ import annotations

import pytest

from migmodel.cli.link_option import parse_link, split_links
from migmodel.cli.scenario_options import scenario_from
from migmodel.errors import InputError
from migmodel.records import Link


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("1gbit", Link(bandwidth_bytes_per_s=125e6)),
        ("tcp", Link(transport="tcp")),
        ("unix", Link()),
        ("netns:1gbit", Link(transport="tcp", bandwidth_bytes_per_s=125e6)),
        ("netns:rtt=2ms", Link(transport="tcp", rtt_s=0.002)),
        (
            "netns:100m,rtt=0.5",
            Link(transport="tcp", bandwidth_bytes_per_s=12.5e6, rtt_s=0.0005),
        ),
        (
            "netns:rtt=2ms,100m",
            Link(transport="tcp", bandwidth_bytes_per_s=12.5e6, rtt_s=0.002),
        ),
    ],
)
def test_a_link_is_what_its_text_says(text: str, link: Link) -> None:
    assert scenario_from(mem="1", link=text).scenario.link == link


@pytest.mark.parametrize(
    "text",
    [
        "netns",
        "netns:",
        "netns:rtt=0",
        "netns:1g,2g",
        "netns:1g,loss=1",
        "ether",
        "rtt=2",
    ],
)
def test_what_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="netns:1gbit,rtt=2ms"):
        parse_link(text)


@pytest.mark.parametrize(
    "links",
    [
        ["1g", "10g"],
        ["netns:1g,rtt=2ms"],
        ["netns:rtt=2ms,1g"],
        ["netns:1g", "10g"],
        ["netns:rtt=2ms", "unix", "1g"],
        ["netns:1g,rtt=1ms", "rtt=2ms"],
        ["tcp", "netns:1g,rtt=2ms", "netns:rtt=1ms,10g", "40g"],
        ["1g", "rtt=2ms"],
    ],
)
def test_a_list_is_split_where_another_link_begins(links: list[str]) -> None:
    assert split_links(",".join(links)) == links
    assert split_links(" , ".join(links)) == links


@pytest.mark.parametrize(
    "options", [{"transport": "unix"}, {"rtt": "3ms"}, {"transport": "tcp"}]
)
def test_the_same_is_not_said_twice(options: dict[str, str]) -> None:
    with pytest.raises(InputError, match="say the same"):
        scenario_from(mem="1", link="netns:1g,rtt=2ms", **options)
