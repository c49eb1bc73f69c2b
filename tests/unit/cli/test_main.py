from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import click
import pytest

from migmodel import __version__
from migmodel.cli import main as main_module
from migmodel.cli.main import COMMANDS, cli, run
from migmodel.errors import InputError, JobError

HEAVY = ("numpy", "scipy", "matplotlib", "pandas", "pyarrow", "rich", "simpy", "lmfit")


def loaded_after(code: str) -> set[str]:
    """Heavy packages that a fresh interpreter has imported after some code."""
    script = f"{code}\nimport sys\nprint(*(m for m in {HEAVY} if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "code",
    [
        "import migmodel.cli.main",
        "from migmodel.cli.main import run; run(['--help'])",
        "from migmodel.cli.main import run; run(['predict', '--mem', '-1'])",
    ],
    ids=["import", "help", "bad input"],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(code: str) -> None:
    assert loaded_after(code) == set()


def test_a_prediction_draws_no_figure_and_needs_no_tables() -> None:
    code = "from migmodel.cli.main import run; run('predict --mem 1 --nominal'.split())"
    assert loaded_after(code) <= {"numpy", "simpy"}


def test_help_lists_every_command_and_exits_0(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["--help"]) == 0
    listed = capsys.readouterr().out
    for name, command in COMMANDS.items():
        assert f"  {name} " in listed
        assert command.help in listed


def test_without_a_command_help_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Commands:" in captured.err


@pytest.mark.parametrize("group", ["profiles", "reproduce", "stress"])
def test_a_group_without_a_command_shows_its_help_line_by_line(
    group: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([group]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"Usage: migmodel {group}")
    assert "\n\nCommands:\n" in captured.err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_loads_and_explains_itself(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([name, "--help"]) == 0
    assert f"Usage: migmodel {name}" in capsys.readouterr().out


def failing(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (InputError("no such thing"), 2, "migmodel: no such thing\n"),
        (JobError("QEMU died"), 1, "migmodel: QEMU died\n"),
        (
            OSError(28, "No space left on device", "out.csv"),
            1,
            "migmodel: out.csv: No space left on device\n",
        ),
        (KeyboardInterrupt(), 130, "migmodel: interrupted\n"),
        (
            KeyboardInterrupt("interrupted: 3 rows"),
            130,
            "migmodel: interrupted: 3 rows\n",
        ),
    ],
    ids=["input", "job", "os", "interrupt", "interrupt with a word"],
)
def test_an_error_is_one_line_and_a_status(
    error: BaseException,
    status: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = click.Command("predict", callback=failing(error))
    monkeypatch.setattr(cli, "get_command", lambda *_: command)
    assert run(["predict"]) == status
    assert capsys.readouterr().err.lstrip("\n") == line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["preidct"], "No such command 'preidct'; see migmodel --help"),
        (["predict", "--bandwidth", "1g"], "see migmodel predict --help"),
        (["predict", "--mem"], "requires an argument"),
        (["predict", "--draws", "many"], "'many' is not a valid integer"),
        (["sweep", "--mem", "4"], "Missing option '--out'"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("migmodel: ")
    assert captured.err.count("\n") == 1
    assert words in captured.err


def test_a_reader_that_goes_away_is_no_error_to_tell() -> None:
    code = "from migmodel.cli.main import main; main()"
    done = subprocess.run(
        [
            "/bin/sh",
            "-c",
            '"$0" -c "$1" --help | true',
            sys.executable,
            code,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""


def test_the_entry_point_exits_with_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main_module, "run", lambda: 2)
    with pytest.raises(SystemExit) as exit_info:
        main_module.main()
    assert exit_info.value.code == 2
