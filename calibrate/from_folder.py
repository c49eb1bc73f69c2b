"""A profile from a folder of old runs, start to end."""

from __future__ import annotations

from pathlib import Path

import click

from migmodel.analysis.profiles import load_profile
from migmodel.qemu.host import usable_cpus
from migmodel.records.files import write_record

from .calibration import calibrate
from .foreign import read_folder
from .report import print_fit


def fit_folder(
    source: Path, out: Path, start: str | None, qemu_version: str | None, cpus: int
) -> None:
    """Fit the runs in a folder, write the profile and say how good it is.

    Parameters
    ----------
    source, out : Path
        The folder, and the profile's file.
    start : str or None
        The profile that gives what the runs do not tell; None is the default one.
    qemu_version : str or None
        QEMU of guestperf reports.
    cpus : int
        Most CPUs to use.

    Raises
    ------
    FitError
        When no file there is a valid run, or they tell nothing.
    """
    from rich.console import Console

    profile = load_profile(start)
    runs, passed_over = read_folder(source, profile, qemu_version)
    for reason in passed_over:
        click.echo(f"passed over: {reason}", err=True)
    with Console(stderr=True).status("fitting") as line:
        fit = calibrate(
            profile,
            runs,
            name=out.stem,
            planned=False,
            on_step=lambda step: line.update(f"fitting: evaluation {step}"),
            jobs=min(cpus, usable_cpus()),
        )
    write_record(out, fit.profile)
    print_fit(fit, runs)
    for remark in fit.remarks:
        click.echo(remark)
    click.echo(
        f"profile written to {out}; what these runs do not tell is {profile.name}'s"
    )
