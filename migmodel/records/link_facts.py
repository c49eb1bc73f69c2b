"""What the link of a Measurement was found to be."""

from __future__ import annotations

from typing import Literal

from migmodel.records.base import Record


class LinkFacts(Record, frozen=True, kw_only=True):
    """A link as it was measured before the guests were started.

    Parameters
    ----------
    made_of : {'namespaces', 'hosts'}
        Two network namespaces on one host and what shapes the pair between them, or
        what joins two hosts.
    delayed_by : {'nothing', 'netem', 'relay'}
        What makes the round-trip time that the scenario asks for.
    rtt_s : float
        Round-trip time of one byte from a program to a program [s], median; between
        hosts the shortest, of a line through ssh.
    undelayed_rtt_s : float or None
        The same without the delay [s]. None where there is none, or it cannot be left
        out.
    throughput_bytes_per_s : float or None
        What one TCP connection carried of a stream [bytes/s]; the headers of its frames
        come on top. None where it was not tried.
    relay_rtt_s : float or None
        Round-trip time that the relay was told to make [s]; the rest of the scenario's
        is what relaying itself costs in time. Its CPU seconds are among the samples.
    relay_window_bytes : int or None
        Most bytes that the relay holds in each direction [bytes].
    """

    made_of: Literal["namespaces", "hosts"]
    delayed_by: Literal["nothing", "netem", "relay"] = "nothing"
    rtt_s: float
    undelayed_rtt_s: float | None = None
    throughput_bytes_per_s: float | None = None
    relay_rtt_s: float | None = None
    relay_window_bytes: int | None = None
