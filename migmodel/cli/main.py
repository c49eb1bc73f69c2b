"""The `migmodel` command: a group whose commands are loaded when they run."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple, NoReturn

import click

from migmodel import __version__
from migmodel.errors import InputError, MigModelError

PROGRAM = "migmodel"
INTERRUPTED = 130  # 128 + SIGINT, as shells have it


class LazyCommand(NamedTuple):
    """Where a command lives, and its line in the list of commands."""

    target: str
    help: str


# The help stands here too, so that listing the commands imports none of them.
COMMANDS: dict[str, LazyCommand] = {
    "predict": LazyCommand(
        "migmodel.cli.predict:predict", "Predict what one migration will do."
    ),
    "sweep": LazyCommand(
        "migmodel.cli.sweep:sweep", "Predict a grid of migrations into a table."
    ),
    "measure": LazyCommand(
        "migmodel.cli.measure:measure", "Run a migration with real QEMU on this host."
    ),
    "compare": LazyCommand(
        "migmodel.cli.compare:compare", "Compare a run with its prediction."
    ),
    "plot": LazyCommand(
        "migmodel.cli.plot:plot", "Draw runs and predictions over one time axis."
    ),
    "calibrate": LazyCommand(
        "migmodel.calibrate.cli:calibrate", "Fit a profile of this host."
    ),
    "validate": LazyCommand(
        "migmodel.validate.cli:validate", "Compare predictions with real migrations."
    ),
    "reproduce": LazyCommand(
        "migmodel.validate.reproduce:reproduce",
        "Predict what others measured and published.",
    ),
    "stress": LazyCommand(
        "migmodel.stress.cli:stress", "Build and run the guests used to measure."
    ),
    "profiles": LazyCommand(
        "migmodel.cli.profiles:profiles", "List and show the bundled host profiles."
    ),
}


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Name the commands, in the order of their use."""
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> click.Command | None:
        """Import and return one command."""
        lazy = COMMANDS.get(cmd_name)
        if lazy is None:
            return None
        module_name, _, attribute = lazy.target.partition(":")
        command: click.Command = getattr(import_module(module_name), attribute)
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the list of commands from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.help) for name, lazy in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 88},
)
@click.version_option(__version__, prog_name=PROGRAM)
@click.pass_context
def cli(context: click.Context) -> None:
    """Say what a QEMU/KVM live migration will do, before anyone starts it."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(InputError.exit_status)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and answer its exit status.

    Parameters
    ----------
    arguments : sequence of str or None
        Without the program's name; None takes those of the process.

    Returns
    -------
    int
        0 done, 1 the job failed, 2 bad input, 130 interrupted.
    """
    try:
        status = cli.main(arguments, prog_name=PROGRAM, standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return InputError.exit_status
    except click.UsageError as error:
        return _complain(_usage_text(error), error.exit_code)
    except click.ClickException as error:
        return _complain(error.format_message(), error.exit_code)
    except MigModelError as error:
        return _complain(str(error), error.exit_status)
    except (click.Abort, KeyboardInterrupt) as error:
        # click wraps the interrupt; a command may have said in it what is left
        return _complain(str(error.__cause__ or error) or "interrupted", INTERRUPTED)
    except OSError as error:
        if error.errno == errno.EPIPE:
            return _close_quietly()
        return _complain(_os_error_text(error), MigModelError.exit_status)
    return status if isinstance(status, int) else 0


def main() -> NoReturn:
    """Entry point of the installed command."""
    sys.exit(run())


def _complain(text: str, status: int) -> int:
    click.echo(f"{PROGRAM}: {' '.join(text.split())}", err=True)
    return status


def _usage_text(error: click.UsageError) -> str:
    path = error.ctx.command_path if error.ctx is not None else PROGRAM
    text = error.format_message().rstrip().rstrip(".")
    return f"{text}; see {path} --help"


def _os_error_text(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename else reason


def _close_quietly() -> int:
    # The reader has gone; without this the interpreter complains when it exits.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return MigModelError.exit_status


if __name__ == "__main__":
    main()
