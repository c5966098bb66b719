"""The connectors of the registries, and net.box, behind one interface: what each gives for a call, as it gives it."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import threading

import asynctnt
import tarantool
from asynctnt.exceptions import TarantoolDatabaseError

from support.harness import CLIENT_PASSWORD, DEADLINE, HOST, ROOT, Instance
from support.outcome import Refusal
from support.transports import NetBoxTransport

USER = {"user": "authkv", "password": CLIENT_PASSWORD}


class Failed(Exception):
    """A failure as a connector shows it."""

    def __init__(self, code: int | None, message: str):
        super().__init__(code, message)
        self.code, self.message = code, message


class Connector:
    """`call` gives what the connector does, and raises `Failed`. One that is `old` sends IPROTO_CALL_16."""

    old = False
    has_codes = True
    # Whether it keeps bytes apart from strings, integers from other numbers, and the order of members.
    has_bytes = True

    def call(self, procedure: str, *args):
        raise NotImplementedError

    def kept(self, value):
        """What is left of a value that is read."""
        return value

    def value(self, procedure: str, *args):
        """The result of a procedure, by the expression that the pages have."""
        return self.call(f"authkv.{procedure}", *args)[0][0]


class PyPi(Connector):
    def __init__(self, instance: Instance):
        self.connection = self.connect(instance)

    def connect(self, instance: Instance):
        return tarantool.Connection(HOST, instance.iproto_port, **USER, socket_timeout=DEADLINE)

    def call(self, procedure, *args):
        try:
            return self.send(procedure, args).data
        except tarantool.NetworkError:
            raise
        except tarantool.DatabaseError as error:
            raise Failed(error.code, error.message) from None

    def send(self, procedure, args):
        return self.connection.call(procedure, args)

    def close(self):
        self.connection.close()


class Old(Connector):
    old = True

    def value(self, procedure, *args):
        (result,) = self.call(f"authkv.{procedure}", *args)
        return result[0] if isinstance(result, list) else result


class PyPiOld(Old, PyPi):
    def connect(self, instance):
        return tarantool.Connection(HOST, instance.iproto_port, **USER, socket_timeout=DEADLINE, call_16=True)


class PyPiPool(PyPi):
    old = False

    def connect(self, instance):
        return tarantool.ConnectionPool([{"host": HOST, "port": instance.iproto_port}], **USER, refresh_delay=0.1)

    def send(self, procedure, args):
        return self.connection.call(procedure, args, mode=tarantool.Mode.RW)


class AsyncTnt(Connector):
    def __init__(self, instance: Instance):
        self.loop = asyncio.new_event_loop()
        self.connection = self.run(asynctnt.connect(host=HOST, port=instance.iproto_port, username=USER["user"], password=USER["password"]))

    def run(self, waited):
        return self.loop.run_until_complete(asyncio.wait_for(waited, DEADLINE))

    def call(self, procedure, *args):
        try:
            return self.run(self.connection.call(procedure, list(args))).body
        except TarantoolDatabaseError as error:
            raise Failed(error.code, error.message) from None

    def close(self):
        self.run(self.connection.disconnect())
        self.loop.close()


class Npm(Old):
    """It shows no code, and has no integers but those of JavaScript."""

    has_codes = False

    def __init__(self, instance: Instance):
        self.process = subprocess.Popen(
            ["node", str(ROOT / "test" / "npm" / "driver.js"), str(instance.iproto_port), *USER.values()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.guard = threading.Timer(DEADLINE, self.process.kill)
        self.guard.start()

    def kept(self, value):
        return _number(value) if isinstance(value, int) else value

    def call(self, procedure, *args):
        self.process.stdin.write(json.dumps([procedure, _tagged(args)]) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the process of node has ended"
        answer = json.loads(line, object_hook=_untagged, parse_int=_number)
        if "error" in answer:
            raise Failed(**answer["error"])
        return answer["result"]

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(DEADLINE) == 0
        self.guard.cancel()
        self.process.stdout.close()


def _tagged(value):
    match value:
        case bytes():
            return {"$bytes": base64.b64encode(value).decode()}
        case int() if abs(value) > 2**53:
            return {"$integer": str(value)}
        case dict():
            return {name: _tagged(one) for name, one in value.items()}
        case list() | tuple():
            return [_tagged(one) for one in value]
    return value


def _number(digits: str | int) -> int:
    """An integer as JavaScript has it."""
    return int(digits) if abs(int(digits)) <= 2**53 else round(float(digits))


def _untagged(value: dict):
    return base64.b64decode(value["$bytes"]) if "$bytes" in value else value


class NetBox(Connector):
    """In a process of its own."""

    has_bytes = False

    def __init__(self, instance: Instance):
        self.transport = NetBoxTransport(instance)

    def call(self, procedure, *args):
        seen = self.transport.call(procedure, args)
        if isinstance(seen, Refusal):
            raise Failed(seen.code, f"{seen.name}: {seen.message}")
        return seen.value

    def close(self):
        self.transport.close()


CONNECTORS = {
    "net.box": NetBox,
    "tarantool": PyPi,
    "tarantool-call_16": PyPiOld,
    "tarantool-pool": PyPiPool,
    "asynctnt": AsyncTnt,
    "tarantool-driver": Npm,
}
