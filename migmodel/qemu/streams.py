"""Where the stream of a migration over TCP goes to, in QEMU's terms."""

from __future__ import annotations

from migmodel.qemu.instance import Instance


def tcp_uri(address: str, port: int) -> str:
    """QEMU's URI of a TCP socket."""
    return f"tcp:[{address}]:{port}" if ":" in address else f"tcp:{address}:{port}"


async def open_stream(destination: Instance, uri: str, *, again: bool) -> None:
    """Let the destination listen: for the migration, or again for its recovery."""
    if again:
        # Past its main loop, which may stand still at a page that is missing.
        await destination.execute("migrate-recover", {"uri": uri}, out_of_band=True)
    else:
        await destination.execute("migrate-incoming", {"uri": uri})


async def listening_port(
    destination: Instance, address: str, *, again: bool = False
) -> int:
    """Let the destination listen on an address alone, and ask on which port."""
    await open_stream(destination, tcp_uri(address, 0), again=again)
    listening = await destination.execute("query-migrate")
    return int(listening["socket-address"][0]["port"])
