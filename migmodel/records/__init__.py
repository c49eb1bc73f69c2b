"""What is described and what came out: frozen records, checked when made."""

from __future__ import annotations

from migmodel.records.measurement import HostFacts, Measurement, Raw
from migmodel.records.parameters import DEFAULT_QEMU, NEWEST_QEMU, SUPPORTED_QEMU
from migmodel.records.policy import TECHNIQUES, Policy, Technique, Tuning
from migmodel.records.prediction import Interval, Prediction
from migmodel.records.profile import HostProfile, Parameter
from migmodel.records.scenario import (
    Guest,
    Limits,
    Link,
    Outage,
    Scenario,
    Workload,
)
from migmodel.records.status import (
    Action,
    Cancel,
    MigrationStatus,
    PauseGuest,
    SetParameters,
    StartPostcopy,
)
from migmodel.records.trace import (
    Event,
    GuestSpeed,
    HostLoad,
    Outcome,
    Phases,
    Progress,
    Round,
    Trace,
)

__all__ = [
    "DEFAULT_QEMU",
    "NEWEST_QEMU",
    "SUPPORTED_QEMU",
    "TECHNIQUES",
    "Action",
    "Cancel",
    "Event",
    "Guest",
    "GuestSpeed",
    "HostFacts",
    "HostLoad",
    "HostProfile",
    "Interval",
    "Limits",
    "Link",
    "Measurement",
    "MigrationStatus",
    "Outage",
    "Outcome",
    "Parameter",
    "PauseGuest",
    "Phases",
    "Policy",
    "Prediction",
    "Progress",
    "Raw",
    "Round",
    "Scenario",
    "SetParameters",
    "StartPostcopy",
    "Technique",
    "Trace",
    "Tuning",
    "Workload",
]
