"""Runs that were not planned to calibrate: which parameters they can tell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from migmodel.analysis.runs import read_run
from migmodel.errors import FitError, InputError
from migmodel.records import HostProfile, Measurement

from .fit import filled_in, residuals, with_values
from .observation import Observation
from .simulations import Simulations

NUDGE = 1.2  # a parameter is tried this much larger
TOLD = 1.0  # sigmas by which some number must move with it
FARTHEST = 10.0  # that a start may be off, and a parameter still be seen to tell
Row = tuple[str, str, float, float, float]  # of `residuals`
RUN_SUFFIXES = (".json", ".json.gz")
EMULATED = "by a KVM that emulates (no vmx or svm), whose rates hold on no other host"


def read_folder(
    folder: Path, profile: HostProfile, qemu_version: str | None = None
) -> tuple[list[Measurement], list[str]]:
    """Read all Measurements and guestperf reports in a folder and below it.

    Parameters
    ----------
    folder : Path
        Where they are.
    profile : HostProfile
        The host of guestperf reports, which do not say.
    qemu_version : str or None
        The QEMU of guestperf reports, which do not say either.

    Returns
    -------
    tuple
        The valid runs whose rates are a host's own, and a line for each other file,
        with the reason.

    Raises
    ------
    FitError
        When no file is a valid run.
    """
    runs, passed_over = [], []
    names_of: dict[bytes, str] = {}
    files = [it for it in folder.rglob("*") if it.name.endswith(RUN_SUFFIXES)]
    for path in sorted(files):
        try:
            run = read_run(path, profile, qemu_version)
        except InputError as error:
            passed_over.append(str(error))
            continue
        if not run.valid:
            passed_over.append(f"{path}: {'; '.join(run.problems)}")
        elif run.emulated:
            passed_over.append(f"{path}: {EMULATED}")
        else:
            runs.append(_named(run, path, names_of))
    if not runs:
        why = f", e.g. {passed_over[0]}" if passed_over else ""
        raise FitError(f"no valid run in {folder}: nothing to fit{why}")
    return runs, passed_over


def _named(run: Measurement, path: Path, names_of: dict[bytes, str]) -> Measurement:
    """Name a scenario after its first file: guestperf calls all of its own the same."""
    nameless = msgspec.structs.replace(run.scenario, name="")
    key = msgspec.json.encode(nameless)
    name = names_of.setdefault(key, path.name.split(".json")[0])
    return msgspec.structs.replace(
        run, scenario=msgspec.structs.replace(nameless, name=name)
    )


def told_by(
    start: HostProfile,
    observations: Sequence[Observation],
    candidates: Iterable[str],
    jobs: int = 1,
) -> list[str]:
    """Parameters that some number of these runs moves with.

    Each is tried a fifth larger: one that moves no number by a sigma stays as it is.
    Of what is told, no more are fitted than there are numbers for two each, the most
    telling first. What the profile lacks begins at its default.
    """
    moved: dict[str, float] = {}
    candidates = list(candidates)
    start = filled_in(start, candidates)
    with Simulations([it.scenario for it in observations], jobs) as simulations:
        base = residuals(simulations.on(start), observations)
        for name in candidates:
            value = start.parameters[name].value
            if not value > 0:
                continue
            nudged = with_values(start, {name: value * NUDGE})
            there = residuals(simulations.on(nudged), observations)
            pairs = zip(base, there, strict=True)
            moved[name] = max(_moved(old, new) for old, new in pairs)
    told = sorted((it for it in moved if moved[it] >= TOLD), key=lambda it: -moved[it])
    return told[: max(len(base) // 2, 1)]


def _moved(old: Row, new: Row) -> float:
    """Sigmas that a number moves by, where the start is nowhere near what was measured.

    Of a host many times as slow a fifth more of a start's cost is little beside what
    was measured: it counts beside what was simulated, as it would nearer by.
    """
    _, _, measured, simulated, sigmas = old
    short = abs(measured) / max(abs(simulated), abs(measured) / FARTHEST, 1e-300)
    return abs(new[4] - sigmas) * max(short, 1.0)
