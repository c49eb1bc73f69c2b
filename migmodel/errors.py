"""The error tree.

::

    MigModelError
    ├── InputError        what the user gave is unusable; exit status 2
    │   └── RecordError   a file that should hold one of our records does not
    └── JobError          the work itself failed; exit status 1
        ├── QemuError     a QEMU process died, hung or refused
        └── FitError      a fit that cannot be made from the runs at hand

A migration that does not converge is a result and raises nothing.
"""

from __future__ import annotations


class MigModelError(Exception):
    """Root of all errors raised on purpose; its text is one line for the user."""

    exit_status = 1


class InputError(MigModelError):
    """Unusable input: names what was wrong, what is allowed and what to do."""

    exit_status = 2


class RecordError(InputError):
    """A file that does not hold the record it should."""


class JobError(MigModelError):
    """The input was fine, but the job failed."""


class QemuError(JobError):
    """A QEMU process died, hung or refused a command."""


class FitError(JobError):
    """The measurements do not determine what is to be fitted."""
