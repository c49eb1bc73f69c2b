"""`migmodel profiles`: the bundled host profiles, each value with its source."""

from __future__ import annotations

import click

from migmodel.records.profile import HostProfile, Parameter


@click.group()
def profiles() -> None:
    """List and show the bundled host profiles."""


@profiles.command("list")
def list_profiles() -> None:
    """List the bundled profiles."""
    from migmodel.analysis.profiles import load_profile, profile_names
    from migmodel.show.tables import aligned

    rows = [("name", "kind", "accelerator", "CPUs", "of")]
    default = load_profile(None).name
    for name in profile_names():
        profile = load_profile(name)
        label = f"{name} (default)" if name == default else name
        hosts = "one host" if profile.same_host else "two hosts"
        cells = (label, profile.kind, profile.accel, str(profile.host_cpus), hosts)
        rows.append(cells)
    click.echo("\n".join(aligned(rows)))


@profiles.command("show")
@click.argument("name", metavar="NAME|FILE")
def show_profile(name: str) -> None:
    """Show a profile: every value, its error and its source."""
    from migmodel.analysis.profiles import load_profile
    from migmodel.show.tables import wrapped
    from migmodel.show.verdict import profile_text

    profile = load_profile(name)
    click.echo("\n".join(wrapped(profile_text(profile))))
    if profile.description:
        click.echo("\n".join(wrapped(profile.description)))
    for fact, value in profile.facts.items():
        click.echo(f"{fact}: {value}")
    click.echo(_parameters(profile))


def _parameters(profile: HostProfile) -> str:
    from migmodel.physics.parameters import PARAMETERS
    from migmodel.show.tables import wrapped

    lines = []
    width = max(map(len, profile.parameters), default=0)
    for name, parameter in profile.parameters.items():
        lines += ["", f"{name.ljust(width)}  {_number(parameter)}"]
        if name in PARAMETERS:
            lines += wrapped(PARAMETERS[name].meaning, first="  ", others="    ")
        source = f"source: {parameter.source or 'not stated'}"
        lines += wrapped(source, first="  ", others="    ")
    return "\n".join(lines)


def _number(parameter: Parameter) -> str:
    if parameter.stderr is None:
        return f"{parameter.value:.6g}"
    return f"{parameter.value:.6g} +- {parameter.stderr:.2g}"
