"""A replica of an instance, by Tarantool's own replication."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from support.harness import CHEAP_HASHES, CLIENT_PASSWORD, HOST, Instance
from support.people import People


class Replica(Instance):
    """An instance that joins the one at REPLICATION before all else."""

    command = ("tarantool", "test/support/replica.lua")


def address(instance: Instance) -> str:
    """Where others find an instance, to replicate it."""
    return f"authkv:{CLIENT_PASSWORD}@{HOST}:{instance.iproto_port}"


@contextmanager
def replica_of(master: People, **settings: str) -> Iterator[Replica]:
    """A replica of the instance of these people, which has its keys and these settings and is read-only."""
    master.console.evaluate("box.schema.user.grant('authkv', 'replication')")
    replica = Replica(keys=False, REPLICATION=address(master.instance), AUTHKV_READ_ONLY="true", **CHEAP_HASHES, **settings)
    for file in master.instance.data_dir.glob("jwt_*.pem"):
        shutil.copy(file, replica.data_dir)
    with replica:
        yield replica
