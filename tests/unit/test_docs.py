"""What commands are said to print in docs/ is what they print."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

RENEW = Path(__file__).parents[2] / "scripts" / "renew_docs.py"


def test_pasted_output_has_the_shape_of_todays() -> None:
    """Numbers may have moved with the model: ./dev docs renews them."""
    done = subprocess.run(
        [sys.executable, str(RENEW), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
