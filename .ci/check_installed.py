"""Checks an installed migmodel: every package imports, every command has help.

Run by an interpreter that has the wheel installed, from outside the checkout.
"""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click

import migmodel
from migmodel.cli import main as command_line


def _modules() -> list[str]:
    found = pkgutil.walk_packages(migmodel.__path__, "migmodel.", onerror=_fail)
    return [module.name for module in found if not module.name.endswith("__main__")]


def _fail(name: str) -> None:
    sys.exit(f"cannot import {name}")


def _commands(command: click.Command, path: list[str]) -> Iterator[list[str]]:
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is None:
                sys.exit(f"the command {' '.join([*path, name])} is listed only")
            yield from _commands(inner, [*path, name])


def main() -> None:
    """Import all, then ask every command for its help as a user would."""
    home = Path(migmodel.__file__).parent
    if not home.is_relative_to(sys.prefix):
        sys.exit(f"this is a checkout, not an installation: {home}")
    modules = _modules()
    for name in modules:
        importlib.import_module(name)
    group = next(
        value for value in vars(command_line).values() if isinstance(value, click.Group)
    )
    program = Path(sys.executable).with_name("migmodel")
    commands = list(_commands(group, []))
    for path in commands:
        subprocess.run(
            [program, *path, "--help"], check=True, stdout=subprocess.DEVNULL
        )
    print(f"installed: {len(modules)} modules import, {len(commands)} helps print")


if __name__ == "__main__":
    main()
