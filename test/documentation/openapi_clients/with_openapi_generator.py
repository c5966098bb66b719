"""The same with a client that `openapi-generator` made."""

import json
import sys
from typing import Any

from made_by_og import (
    Addition,
    ApiClient,
    ApiException,
    Comparison,
    Configuration,
    Credentials,
    DeleteStep,
    GetStep,
    IfRevision,
    ImportAndExportApi,
    IncrStep,
    KeyAtRevision,
    KeyListing,
    KeysApi,
    KeysToDelete,
    KeysToRead,
    KeyToDelete,
    KeyValueApi,
    NewPair,
    NewPermission,
    NewPermissions,
    OneKeyApi,
    PairsToWrite,
    PutStep,
    RolesApi,
    SessionsApi,
    Step,
    Token,
    Transaction,
)  # fmt: skip
from pydantic import SecretStr

address, password, prefix = sys.argv[1:]
out: dict[str, Any] = {}


def failure(call: Any, *args: Any, **more: Any) -> list[object]:
    """The status and the code of a call that fails, whose answer has to be of the class of problems."""
    try:
        call(*args, **more)
    except ApiException as error:
        problem: Any = error.data
        return [error.status, problem.code]
    raise AssertionError("no failure")


anyone = ApiClient(Configuration(host=address))
out["wrong_password"] = failure(SessionsApi(anyone).session_login, Credentials(login="admin", password=SecretStr("wrong")))
session = SessionsApi(anyone).session_login(Credentials(login="admin", password=SecretStr(password)))
out["login"] = session.token_type
client = ApiClient(Configuration(host=address, access_token=session.access_token))
sessions, batches, one = SessionsApi(client), KeyValueApi(client), OneKeyApi(client)

known = sessions.session_introspect(Token(token=session.access_token))
out["introspected"] = [known.active, known.username]
out["unknown"] = sessions.session_introspect(Token(token="unknown")).to_dict()

values = {"string": "Earth", "number": 365.25, "object": {"next": None}, "null": None, "bytes": {"$binary": "AP+A"}}
put = batches.batch_put(PairsToWrite(pairs=[NewPair(key=prefix + kind, value=value) for kind, value in values.items()]))
out["batch_put"] = [result.outcome for result in put.results]
read = batches.batch_get(KeysToRead(keys=[prefix + kind for kind in (*values, "none")]))
out["batch_get"] = {pair.key.removeprefix(prefix): pair.value for pair in read.pairs}
out["missing"] = [key.removeprefix(prefix) for key in read.missing]

# None is no body to it.
out["pair_put"] = {kind: one.pair_put(prefix + kind, value).created for kind, value in values.items() if value is not None}
out["pair_get"] = {}
for kind in values:
    payload = bytes(one.pair_get(prefix + kind))
    out["pair_get"][kind] = payload.hex() if kind == "bytes" else json.loads(payload)
out["conflict"] = failure(one.pair_put, prefix + "string", 1, if_match='"1"')
out["no_such_key"] = failure(one.pair_get, prefix + "none")
out["incr"] = one.kv_incr(prefix + "count", addition=Addition(by=2)).value
out["incr_without_body"] = one.kv_incr(prefix + "count").value

listing = batches.kv_list(prefix=prefix, keys_only=True).actual_instance
assert isinstance(listing, KeyListing), listing
out["list"] = [key.removeprefix(prefix) for key in listing.keys]

put_step = PutStep(op="put", key=prefix + "new", value=None, if_revision=IfRevision(0))
steps = [put_step, IncrStep(op="incr", key=prefix + "count"), GetStep(op="get", key=prefix + "bytes")]
done = batches.kv_txn(
    Transaction(
        compare=[Comparison(key=prefix + "string", value="Earth"), Comparison(key=prefix + "none", exists=False)],
        success=[Step(step) for step in steps],
        failure=[Step(DeleteStep(op="delete", key=prefix + "string"))],
    )
)
out["txn"] = [done.succeeded, [[result.outcome, result.value] for result in done.results]]

at = KeyAtRevision(key=prefix + "new", if_revision=IfRevision([1, one.pair_put(prefix + "new", 1).revision]))
deleted = batches.batch_delete(KeysToDelete(keys=[KeyToDelete(prefix + "count"), KeyToDelete(at)]))
out["batch_delete"] = [result.outcome for result in deleted.results]
out["pair_delete"] = one.pair_delete(prefix + "null").deleted

lines = "".join(json.dumps({"key": f"{prefix}lines/{n}", "value": n}) + "\n" for n in range(2))
bulk = ImportAndExportApi(client)
out["import"] = json.loads(bytes(bulk.kv_import(body=lines.encode())).splitlines()[-1])
out["export"] = [json.loads(line)["value"] for line in bytes(bulk.kv_export(prefix=prefix + "lines/")).splitlines()]

roles = RolesApi(client)
permissions = [NewPermission(prefix=f"{prefix}{n}/", read=True) for n in range(1000)]
out["role"] = len(roles.role_set("wide", NewPermissions(permissions=permissions)).permissions)
roles.role_delete("wide")
keys = [key.actual_instance for key in KeysApi(anyone).key_set().keys]
out["key_set"] = [key.kty if key else None for key in keys]
sessions.auth_logout()
out["logged_out"] = failure(batches.kv_list)
print(json.dumps(out))
