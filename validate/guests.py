"""The stress guests of a suite, each built when the first scenario needs it."""

from __future__ import annotations

from collections.abc import Callable

from migmodel.errors import InputError, JobError
from migmodel.qemu.options import DriverOptions
from migmodel.records.scenario import GuestKind


class Guests:
    """How scenarios are measured, by the kind of their guest.

    Parameters
    ----------
    build : callable
        Builds the guest of a kind; raises JobError when it cannot.
    """

    def __init__(self, build: Callable[[GuestKind], DriverOptions]) -> None:
        self._build = build
        self._built: dict[GuestKind, DriverOptions] = {}
        self._refused: dict[GuestKind, str] = {}

    def options(self, kind: GuestKind) -> DriverOptions:
        """Return how guests of a kind are measured.

        Raises
        ------
        InputError
            When the Linux guest cannot be had: it needs a kernel, which is no reason
            to do without the scenarios of the bare one.
        JobError
            When the bare guest cannot be built.
        """
        if kind in self._refused:
            raise InputError(self._refused[kind])
        if kind not in self._built:
            try:
                self._built[kind] = self._build(kind)
            except JobError as error:
                if kind == "bare":
                    raise
                self._refused[kind] = str(error)
                raise InputError(str(error)) from None
        return self._built[kind]
