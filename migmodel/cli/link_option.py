"""What `--link` says: a rate, a kind of socket, or a link made of two namespaces."""

from __future__ import annotations

from typing import NamedTuple, cast, get_args

from migmodel.cli.option_values import milliseconds
from migmodel.errors import InputError
from migmodel.records.scenario import Link, Transport
from migmodel.units import parse_bandwidth

NAMESPACES = "netns"
_FORMS = "1gbit, tcp, unix, netns:1gbit, netns:rtt=2ms or netns:1gbit,rtt=2ms"


class LinkText(NamedTuple):
    """What was said of a link; None is not said.

    Parameters
    ----------
    shaped : bool
        To be made of two network namespaces when it is measured.
    """

    shaped: bool = False
    transport: Transport | None = None
    bandwidth_bytes_per_s: float | None = None
    rtt_s: float | None = None


def parse_link(text: str) -> LinkText:
    """Read the value of ``--link``.

    Raises
    ------
    InputError
        When it is none of the forms that are allowed.
    """
    if text in get_args(Transport):
        return LinkText(transport=cast("Transport", text))
    name, colon, settings = text.partition(":")
    if name != NAMESPACES:
        return LinkText(bandwidth_bytes_per_s=_rate(text))
    link = LinkText(shaped=True, transport="tcp")
    for word in settings.split(",") if colon else []:
        key, equals, value = word.partition("=")
        if equals and key == "rtt" and link.rtt_s is None:
            link = link._replace(rtt_s=milliseconds(value))
        elif not equals and link.bandwidth_bytes_per_s is None:
            link = link._replace(bandwidth_bytes_per_s=_rate(word))
        else:
            raise InputError(f"'{word}' in '{text}' says nothing; write {_FORMS}")
    if link.bandwidth_bytes_per_s is None and not link.rtt_s:
        raise InputError(
            "a link of namespaces needs a bandwidth, a round-trip time or both, like "
            "netns:1gbit,rtt=2ms; for TCP within this host write tcp"
        )
    return link


def link_of(text: str) -> Link:
    """Make a link of nothing but the value of ``--link``."""
    said = parse_link(text)
    return Link(
        transport=said.transport or "tcp",
        bandwidth_bytes_per_s=said.bandwidth_bytes_per_s,
        rtt_s=said.rtt_s or 0.0,
    )


def split_links(text: str) -> list[str]:
    """Split a comma list of links.

    A word goes on with the ``netns:`` link before it where that has not said as much
    yet: ``netns:1g,rtt=2ms,netns:10g,1g`` are three links.
    """
    links: list[str] = []
    for word in (part.strip() for part in text.split(",")):
        if links and _goes_on(links[-1], word):
            links[-1] += f",{word}"
        else:
            links.append(word)
    return links


def _goes_on(link: str, word: str) -> bool:
    name, _, settings = link.partition(":")
    if name != NAMESPACES or not settings:
        return False
    delays = [said.startswith("rtt=") for said in settings.split(",")]
    if word.startswith("rtt="):
        return not any(delays)
    return all(delays) and _is_rate(word)


def _is_rate(text: str) -> bool:
    try:
        parse_bandwidth(text)
    except InputError:
        return False
    return True


def _rate(text: str) -> float | None:
    try:
        return parse_bandwidth(text) or None
    except InputError as error:
        raise InputError(f"{error}; or write {_FORMS}") from None
