"""Tables of a fit, for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migmodel.physics.parameters import PARAMETERS
from migmodel.physics.technique_parameters import TECHNIQUE_PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from migmodel.records import Measurement

    from .fit import Fit

WORST_RESIDUALS = 8


def parameter_table(fit: Fit) -> Table:
    """Every parameter with its error, and which are badly determined.

    Those of techniques that were not calibrated are left out.
    """
    from rich.table import Table

    table = Table(title=f"profile {fit.profile.name}", title_justify="left")
    for column, justify in (("parameter", "left"), ("value", "right"), ("±", "right")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    table.add_column("")
    table.add_column("meaning", style="dim")
    for name, item in fit.profile.parameters.items():
        if name in TECHNIQUE_PARAMETERS and not item.stderr:
            continue
        error = "" if not item.stderr else f"{item.stderr / item.value:.0%}"
        remark = "badly determined" if name in fit.badly_determined else ""
        if not item.stderr and not name.startswith("noise_"):
            remark = "not fitted"
        table.add_row(
            name, f"{item.value:.4g}", error, remark, PARAMETERS[name].meaning
        )
    return table


def residual_table(fit: Fit) -> Table:
    """The numbers that the fitted profile describes worst."""
    from rich.table import Table

    table = Table(title="described worst", title_justify="left")
    table.add_column("run")
    table.add_column("number")
    for column in ("measured", "fitted", "sigmas"):
        table.add_column(column, justify="right")
    worst = sorted(fit.residuals, key=lambda row: -abs(row[4]))[:WORST_RESIDUALS]
    for scenario, name, measured, simulated, sigmas in worst:
        table.add_row(
            scenario, name, f"{measured:.4g}", f"{simulated:.4g}", f"{sigmas:+.1f}"
        )
    return table


def print_fit(fit: Fit, measurements: Sequence[Measurement]) -> None:
    """Print both tables and how well it fits."""
    from rich.console import Console

    console = Console()
    console.print(parameter_table(fit))
    console.print(residual_table(fit))
    console.print(
        f"{len(measurements)} valid runs, of which {fit.profile.facts['runs']} were "
        f"fitted, {len(fit.residuals)} numbers compared, "
        f"reduced chi-square {fit.reduced_chi_square:.2f}"
    )
    if fit.badly_determined:
        console.print("badly determined: " + ", ".join(fit.badly_determined))
