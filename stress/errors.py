"""The errors of this package, which the command line prints as one line.

::

    StressError           the work failed; exit status 1
    └── SettingError      what the user gave is unusable; exit status 2
"""

from __future__ import annotations

import click


class StressError(click.ClickException):
    """A guest that cannot be built or run; the text is one line for the user."""


class SettingError(StressError):
    """A setting that no guest can have."""

    exit_code = 2
