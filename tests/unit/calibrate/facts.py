"""The host that made-up runs were made on."""

from __future__ import annotations

from migmodel.records import HostFacts

FACTS = HostFacts(
    cpu_model="test",
    cpus=2,
    memory_bytes=1 << 34,
    kernel="6",
    qemu_version="10.0.2",
    accel="tcg",
)
