from __future__ import annotations

from typing import Any

import pytest

from migmodel.cli.host_options import hosts_from


def options(**given: Any) -> dict[str, Any]:
    names = "dst_host dst_address dst_qemu ssh_config src_cpu_bind dst_cpu_bind"
    every = dict.fromkeys(f"{names} src_mem_bind dst_mem_bind".split())
    flags = {"prealloc_pages": False, "locked_pages": False, "keep_awake": None}
    return {**every, **flags, **given}


@pytest.mark.parametrize(
    ("dst_host", "name"),
    [(None, None), ("server-b", "server-b"), ("root@server-b", "server-b")],
)
def test_the_other_host_has_a_name_without_a_user(
    dst_host: str | None, name: str | None
) -> None:
    assert hosts_from(options(dst_host=dst_host)).other_name == name
