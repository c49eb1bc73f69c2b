"""The other of two hosts, as the user names it."""

from __future__ import annotations

import re

import msgspec

from migmodel.errors import InputError

_HOST = re.compile(r"([A-Za-z0-9_][\w.+-]*@)?[A-Za-z0-9][\w.:-]*")


class RemoteTarget(msgspec.Struct, frozen=True, kw_only=True):
    """The other host, as the user names it.

    Parameters
    ----------
    host : str
        ``user@host`` or an alias of the ssh configuration.
    address : str or None
        Where the migration goes to, and the only address that is listened on there;
        None: as ssh resolves the host.
    qemu : str or None
        QEMU's file there; None: the set-up's, or the PATH's.
    ssh_config : str or None
        Configuration file for ssh; None: the user's.
    """

    host: str
    address: str | None = None
    qemu: str | None = None
    ssh_config: str | None = None

    def __post_init__(self) -> None:
        if _HOST.fullmatch(self.host) is None:
            raise InputError(f"--dst-host is host or user@host, not '{self.host}'")
