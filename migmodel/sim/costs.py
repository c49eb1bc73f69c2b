"""What a page costs to send, by its kind and by the technique that sends it.

Equations W1 to W9 of docs/model.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from migmodel.physics import multifd, wire
from migmodel.physics.codecs import FLUSH_BYTES, CodecCost, codec_cost
from migmodel.physics.cpu import Channels
from migmodel.records import Scenario
from migmodel.sim.host import Host
from migmodel.sim.memory import PageKind
from migmodel.sim.settings import Settings
from migmodel.units import PAGE_BYTES


@dataclass(frozen=True, slots=True)
class PageCost:
    """Of a page of one kind.

    Attributes
    ----------
    counted_bytes : float
        Bytes that the limiter, the threshold and the throttle see.
    wire_bytes : float
        Bytes on the link.
    counted_pages : float
        Pages that the limiter sees at a time.
    flush_pages : float
        Pages after which source and destination hand over.
    source_s, destination_s : float
        CPU time of the migration thread and of the main loader [s].
    channels : Channels or None
        What other threads do beside.
    encoded_share, encoded_bytes : float
        Share of such pages that goes through a codec; bytes of it on the link, for
        each page of all.
    ready_s : float or None
        From a channel's becoming free until it has its next packet, where packets count
        when they are written; None: pages count before.
    xbzrle : tuple of float or None
        Shares of such pages that the cache misses, that it has, that overflow, and the
        bytes that xbzrle-cache counts for one.
    """

    counted_bytes: float
    wire_bytes: float
    counted_pages: float
    flush_pages: float
    source_s: float
    destination_s: float
    channels: Channels | None = None
    encoded_share: float = 0.0
    encoded_bytes: float = 0.0
    ready_s: float | None = None
    xbzrle: tuple[float, float, float, float] | None = None


def mixed_cost(encoded: PageCost, plain: PageCost, share: float) -> PageCost:
    """Mean cost of pages of which this share is encoded and the others are plain."""
    channels = encoded.channels
    if share >= 1 or channels is None:
        return encoded

    def mean(name: str) -> float:
        of_encoded, of_plain = getattr(encoded, name), getattr(plain, name)
        return float(share * of_encoded + (1 - share) * of_plain)

    def mean_pages(name: str) -> float:
        """Pages a flush, of both together: what counts is flushes a page."""
        of_encoded, of_plain = getattr(encoded, name), getattr(plain, name)
        return float(1 / (share / of_encoded + (1 - share) / of_plain))

    return PageCost(
        mean("counted_bytes"),
        mean("wire_bytes"),
        mean_pages("counted_pages"),
        mean_pages("flush_pages"),
        mean("source_s"),
        mean("destination_s"),
        replace(
            channels,
            source_s=share * channels.source_s,
            destination_s=share * channels.destination_s,
        ),
        encoded_share=mean("encoded_share"),
        encoded_bytes=mean("encoded_bytes"),
        ready_s=encoded.ready_s,
    )


def repeated_share(scenario: Scenario) -> float:
    """Share of a page of the working set that repeats: 0 random, 1 zero."""
    workload = scenario.workload
    if workload.content == "zero":
        return 1.0
    return workload.compressibility or 0.0


class Costs:
    """Pages as the plain stream sends them; techniques change some of the kinds.

    Parameters
    ----------
    scenario : Scenario
        Says the technique and the content.
    host : Host
        Its numbers, as drawn.
    settings : Settings
        QEMU's parameters and the version's rules.
    """

    def __init__(self, scenario: Scenario, host: Host, settings: Settings) -> None:
        self._scenario = scenario
        self._host = host
        self._settings = settings
        self._plain = self._plain_costs()
        self._kinds: dict[int, PageCost] = dict(self._plain)
        if settings.has("multifd"):
            self._kinds.update(self._multifd_costs())
        elif settings.has("compress"):
            self._kinds.update(self._compress_costs())

    def __getitem__(self, kind: int) -> PageCost:
        return self._kinds[kind]

    @property
    def spills(self) -> bool:
        """Pages go out as they are while all threads that compress are busy."""
        has, number = self._settings.has, self._settings.number
        # With postcopy-ram each page is waited for, so that none of them ever is.
        compresses = has("compress") and not has("multifd") and not has("postcopy-ram")
        return compresses and not number("compress-wait-thread")

    def plain(self, kind: int) -> PageCost:
        """As the migration thread sends pages of this kind itself."""
        return self._plain[kind]

    def change(self, kind: int, cost: PageCost) -> None:
        """Pages of this kind cost as much from now on."""
        self._kinds[kind] = cost

    def add(self, cost: PageCost) -> int:
        """Make a new kind of page; its number."""
        kind = max(self._kinds) + 1
        self._kinds[kind] = cost
        return kind

    def end_encoding(self) -> None:
        """Post-copy sends pages plainly, whatever the technique."""
        self._kinds.update(self._plain)

    def _plain_costs(self) -> dict[int, PageCost]:
        host = self._host
        at_flush = self._settings.rules.counts_at_flush
        source_s, destination_s = host["page_source_s"], host["page_destination_s"]
        zero_source_s = host["zero_page_source_s"]
        zero_destination_s = host["zero_page_destination_s"]
        transport = self._scenario.link.transport
        if transport != "unix":
            source_s = host[f"{transport}_page_source_s"]
            destination_s = host[f"{transport}_page_destination_s"]
        normal = PageCost(
            wire.NORMAL_PAGE_BYTES,
            wire.NORMAL_PAGE_BYTES,
            wire.FLUSH_PAGES if at_flush else 1,
            wire.FLUSH_PAGES,
            source_s,
            destination_s,
        )
        fresh = replace(normal, destination_s=destination_s + host["fresh_page_s"])
        zero = PageCost(
            wire.ZERO_PAGE_BYTES,
            wire.ZERO_PAGE_BYTES,
            wire.FLUSH_ZERO_PAGES if at_flush else 1,
            wire.FLUSH_ZERO_PAGES,
            zero_source_s,
            zero_destination_s,
        )
        kinds = {PageKind.NORMAL: normal, PageKind.FRESH: fresh, PageKind.ZERO: zero}
        pinned = transport == "rdma" and self._settings.has("rdma-pin-all")
        if self._settings.zero_detection == "none" or pinned:
            kinds[PageKind.ZERO] = fresh
        return {int(kind): cost for kind, cost in kinds.items()}

    def _multifd_costs(self) -> dict[int, PageCost]:
        """Packets of 128 pages, each by one of the channels."""
        rules = self._settings.rules
        repeated = repeated_share(self._scenario)
        kinds = {
            int(PageKind.NORMAL): self._packet_cost(repeated, fresh=False),
            int(PageKind.FRESH): self._packet_cost(repeated, fresh=True),
        }
        detection = self._settings.zero_detection
        if detection == "none":
            kinds[int(PageKind.ZERO)] = self._packet_cost(1.0, fresh=True)
        elif detection == "multifd" and rules.multifd_finds_zeros:
            kinds[int(PageKind.ZERO)] = self._zero_packet_cost()
        return kinds

    def _packet_cost(self, repeated: float, *, fresh: bool) -> PageCost:
        host, rules = self._host, self._settings.rules
        codec = self._codec(repeated)
        data_bytes = float(PAGE_BYTES)
        if codec is not None:
            data_bytes = codec.page_bytes + FLUSH_BYTES / multifd.PACKET_PAGES
        wire_bytes = data_bytes + multifd.HEADER_A_PAGE_BYTES
        counted = multifd.counted_page_bytes(data_bytes, rules.multifd_counts)
        # What sending costs beside the look at the page is in proportion to the bytes.
        share = multifd.packet_share(wire_bytes)
        source_s = host["multifd_page_source_s"] * share
        destination_s = host["multifd_page_destination_s"] * share
        if codec is not None:
            source_s += codec.encode_s
            destination_s += codec.decode_s
        if fresh:
            destination_s += host["multifd_fresh_page_s"]
        if self._settings.has("zero-copy-send"):
            # The kernel sends from the guest's pages: no copy on the source.
            source_s = host["rdma_page_source_s"]
        return PageCost(
            counted,
            wire_bytes,
            multifd.PACKET_PAGES,
            multifd.PACKET_PAGES,
            host["multifd_queue_s"] + self._legacy_look_s,
            0.0,
            self._channels(source_s, destination_s, wire_bytes),
            encoded_share=0.0 if codec is None else 1.0,
            encoded_bytes=0.0 if codec is None else wire_bytes,
            ready_s=self._ready_s,
        )

    def _zero_packet_cost(self) -> PageCost:
        host, rules = self._host, self._settings.rules
        counted = multifd.counted_page_bytes(0.0, rules.multifd_counts)
        return PageCost(
            max(counted, 1e-3),
            multifd.HEADER_A_PAGE_BYTES,
            multifd.PACKET_PAGES,
            multifd.PACKET_PAGES,
            host["multifd_queue_s"],
            0.0,
            self._channels(
                host["zero_page_source_s"],
                host["zero_page_destination_s"],
                multifd.HEADER_A_PAGE_BYTES,
            ),
            ready_s=self._ready_s,
        )

    @property
    def _ready_s(self) -> float | None:
        if self._settings.rules.multifd_counts == "queued":
            return None
        filling_s = multifd.PACKET_PAGES * self._host["multifd_queue_s"]
        return self._host["multifd_wakeup_s"] + filling_s

    @property
    def _legacy_look_s(self) -> float:
        """Time of the migration thread to see that a page is not zero.

        Where it looks for zero pages itself; a page that is none is given up after its
        first cache lines (util/bufferiszero.c), a small part of what a zero page costs.
        """
        looks = self._settings.zero_detection == "legacy"
        looks = looks or not self._settings.rules.multifd_finds_zeros
        return 0.1 * self._host["zero_page_source_s"] if looks else 0.0

    def _channels(
        self, source_s: float, destination_s: float, wire_bytes: float
    ) -> Channels:
        count = self._settings.number("multifd-channels")
        # A socket holds less than a packet, so that its ends wait for each other as
        # often as bytes fill it: hardly ever for packets of zero pages.
        packet_s = self._host["multifd_packet_s"] * multifd.packet_share(wire_bytes)
        return Channels(
            source=count,
            destination=count,
            source_s=source_s,
            destination_s=destination_s,
            overlap=self._host["pipeline_overlap"],
            handoff_s=packet_s / multifd.PACKET_PAGES,
            burst_pages=multifd.PACKET_PAGES,
        )

    def _codec(self, repeated: float) -> CodecCost | None:
        codec = self._settings.word("multifd-compression")
        if codec == "none":
            return None
        return codec_cost(
            self._host.values, codec, self._settings.codec_level(codec), repeated
        )

    def _compress_costs(self) -> dict[int, PageCost]:
        """Each page alone through zlib, by threads that the migration thread feeds.

        These look for zero pages too (ram.c, do_compress_ram_page), so that each of
        them is handed over as well. A hand-over is a lock and a wake-up on either side,
        taken to cost both alike, and the destination's threads alike, which are fed the
        same way (ram.c, decompress_data_with_multi_threads).
        """
        host, settings = self._host, self._settings
        plain, zero = self._plain[PageKind.NORMAL], self._plain[PageKind.ZERO]
        handover_s = host["compress_page_s"]
        # With postcopy-ram every page is waited for: one thread at a time.
        serial = settings.has("postcopy-ram")
        count = 1 if serial else settings.number("compress-threads")
        decoders = 1 if serial else settings.number("decompress-threads")

        def cost(repeated: float, *, fresh: bool) -> PageCost:
            level = settings.number("compress-level")
            codec = codec_cost(host.values, "zlib", level, repeated)
            size = codec.page_bytes + host["compress_page_bytes"]
            wire_bytes = min(size, PAGE_BYTES + 16) + wire.COMPRESSED_HEADER_BYTES
            share = wire_bytes / wire.NORMAL_PAGE_BYTES
            # Alone, random bytes find nothing that was before: no window, no search.
            alone_s = (
                codec.encode_s + host["compress_block_s"]
                if repeated
                else host["compress_random_s"]
            )
            encode_s = handover_s + alone_s
            decode_s = handover_s + codec.decode_s
            if fresh:
                decode_s += host["fresh_page_s"]
            flush_pages = max(wire.BUFFER_BYTES / wire_bytes, 1.0)
            return PageCost(
                wire_bytes,
                wire_bytes,
                flush_pages if settings.rules.counts_at_flush else 1,
                flush_pages,
                handover_s + plain.source_s * share,
                handover_s + plain.destination_s * share,
                Channels(count, decoders, encode_s, decode_s),
                encoded_share=1.0,
                encoded_bytes=wire_bytes,
            )

        repeated = repeated_share(self._scenario)
        return {
            int(PageKind.NORMAL): cost(repeated, fresh=False),
            int(PageKind.FRESH): cost(repeated, fresh=True),
            int(PageKind.ZERO): replace(
                zero,
                source_s=handover_s,
                channels=Channels(count, 1, handover_s + zero.source_s, 0.0),
            ),
        }
