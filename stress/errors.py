"""The one error of this package."""

from __future__ import annotations


class StressError(Exception):
    """A guest that cannot be built or run; the text is one line for the user."""
