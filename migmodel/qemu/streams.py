"""Where the stream of a migration over TCP goes to, in QEMU's terms."""

from __future__ import annotations

from migmodel.qemu.instance import Instance


def tcp_uri(address: str, port: int) -> str:
    """QEMU's URI of a TCP socket."""
    return f"tcp:[{address}]:{port}" if ":" in address else f"tcp:{address}:{port}"


async def listening_port(destination: Instance, address: str) -> int:
    """Let the destination listen on an address alone, and ask on which port."""
    await destination.execute("migrate-incoming", {"uri": tcp_uri(address, 0)})
    listening = await destination.execute("query-migrate")
    return int(listening["socket-address"][0]["port"])
