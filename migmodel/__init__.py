"""migmodel: what a QEMU/KVM live migration will do, before anyone starts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from migmodel.analysis.predict import predict
    from migmodel.errors import MigModelError
    from migmodel.records import (
        Guest,
        HostProfile,
        Limits,
        Link,
        Measurement,
        Policy,
        Prediction,
        Scenario,
        Trace,
        Workload,
    )

__version__ = "0.1.0"
__all__ = [
    "predict",
    "Scenario",
    "Guest",
    "Workload",
    "Link",
    "Policy",
    "Limits",
    "HostProfile",
    "Prediction",
    "Measurement",
    "Trace",
    "MigModelError",
]


def __getattr__(name: str) -> Any:
    # Names are resolved on first use: start-up is part of the product.
    if name == "predict":
        from migmodel.analysis.predict import predict

        return predict
    if name == "MigModelError":
        from migmodel.errors import MigModelError

        return MigModelError
    if name in __all__:
        import migmodel.records

        return getattr(migmodel.records, name)
    raise AttributeError(f"module 'migmodel' has no attribute '{name}'")
