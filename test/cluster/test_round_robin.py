"""A client that talks to three members in turn, and does not know who leads."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.harness import DEADLINE, HOST, free_port, wait_until
from support.postman import run_collection
from support.replica_set import Member, ReplicaSet, has_elections

# Each request goes to the next member; none is sent again to another one.
NGINX = """
daemon off; master_process off; pid {directory}/pid; error_log {directory}/error;
events {{}}
http {{
    log_format asked "$upstream_addr $request_method $uri $status";
    access_log {directory}/access asked;
    client_body_temp_path {directory}; proxy_temp_path {directory}; fastcgi_temp_path {directory};
    uwsgi_temp_path {directory}; scgi_temp_path {directory};
    upstream members {{ {servers} }}
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://members; proxy_next_upstream off; proxy_set_header Host $http_host; }}
    }}
}}
"""
SETTINGS = {"AUTHKV_WRITES": "forward", "AUTHKV_CONSISTENCY": "leader"}


@contextlib.contextmanager
def round_robin(members: list[Member], directory: Path) -> Iterator[str]:
    """nginx in front of these members, as an address."""
    if not (program := shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")):
        pytest.skip("nginx is not installed")
    port = free_port()
    servers = " ".join(f"server {HOST}:{member.http_port} max_fails=0;" for member in members)
    file = directory / "nginx.conf"
    file.write_text(NGINX.format(directory=directory, servers=servers, port=port))
    process = subprocess.Popen([program, "-c", str(file)], stderr=subprocess.PIPE, text=True)

    def listens() -> bool:
        with contextlib.suppress(OSError):
            socket.create_connection((HOST, port), timeout=DEADLINE).close()
            return True
        assert process.poll() is None, process.stderr.read()
        return False

    try:
        wait_until(listens, "nginx listens")
        yield f"http://{HOST}:{port}"
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(DEADLINE)


@pytest.mark.parametrize("elections", [False, True])
@pytest.mark.parametrize("synchronous", [False, True])
def test_the_collection_passes_by_any_member(tmp_path, elections, synchronous):
    if elections and not has_elections():
        pytest.skip("this Tarantool has no elections")
    if synchronous and not elections:
        pytest.skip("synchronous replication is for elections")
    with ReplicaSet(elections=elections, AUTHKV_SYNCHRONOUS=json.dumps(synchronous), **SETTINGS) as members:
        with round_robin(members.members, tmp_path) as url:
            run_collection(url)
            run_collection(url)
        asked = {line.split()[0] for line in (tmp_path / "access").read_text().splitlines()}
        assert asked == {f"{HOST}:{member.http_port}" for member in members.members}
