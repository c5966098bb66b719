"""What test_openapi_clients.py does with a client that `openapi-python-client` made: arguments are the address, the password of
`admin` and a prefix for keys; what came out is printed as JSON."""

import json
import sys
from io import BytesIO
from typing import Any, TypeVar

from made_by_opc import AuthenticatedClient, Client
from made_by_opc.api.import_and_export import kv_export, kv_import
from made_by_opc.api.key_value import batch_delete, batch_get, batch_put, kv_list, kv_txn
from made_by_opc.api.keys import key_set
from made_by_opc.api.one_key import kv_incr, pair_delete, pair_get, pair_put
from made_by_opc.api.roles import role_delete, role_set
from made_by_opc.api.sessions import auth_logout, session_introspect, session_login
from made_by_opc.models.addition import Addition
from made_by_opc.models.comparison import Comparison
from made_by_opc.models.credentials import Credentials
from made_by_opc.models.found_pairs import FoundPairs
from made_by_opc.models.get_step import GetStep
from made_by_opc.models.get_step_op import GetStepOp
from made_by_opc.models.incr_step import IncrStep
from made_by_opc.models.incr_step_op import IncrStepOp
from made_by_opc.models.introspection import Introspection
from made_by_opc.models.key_at_revision import KeyAtRevision
from made_by_opc.models.key_listing import KeyListing
from made_by_opc.models.key_set import KeySet
from made_by_opc.models.keys_to_delete import KeysToDelete
from made_by_opc.models.keys_to_read import KeysToRead
from made_by_opc.models.new_pair import NewPair
from made_by_opc.models.new_permission import NewPermission
from made_by_opc.models.new_permissions import NewPermissions
from made_by_opc.models.pairs_to_write import PairsToWrite
from made_by_opc.models.problem import Problem
from made_by_opc.models.put_step import PutStep
from made_by_opc.models.put_step_op import PutStepOp
from made_by_opc.models.role import Role
from made_by_opc.models.session import Session
from made_by_opc.models.sum_ import Sum
from made_by_opc.models.token import Token
from made_by_opc.models.transaction import Transaction
from made_by_opc.models.written_pair import WrittenPair
from made_by_opc.types import File

T = TypeVar("T")


def a(kind: type[T], parsed: object) -> T:
    """The answer, which has to be of this class."""
    assert isinstance(parsed, kind), parsed
    return parsed


address, password, prefix = sys.argv[1:]
anyone = Client(base_url=address, raise_on_unexpected_status=True)
out: dict[str, Any] = {}

failed = a(Problem, session_login.sync(client=anyone, body=Credentials(login="admin", password="wrong")))
out["wrong_password"] = [failed.status, failed.code]
session = a(Session, session_login.sync(client=anyone, body=Credentials(login="admin", password=password)))
out["login"] = session.token_type
client = AuthenticatedClient(base_url=address, token=session.access_token, raise_on_unexpected_status=True)

known = a(Introspection, session_introspect.sync(client=client, body=Token(token=session.access_token)))
out["introspected"] = [known.active, known.username]
out["unknown"] = a(Introspection, session_introspect.sync(client=client, body=Token(token="unknown"))).to_dict()

values = {"string": "Earth", "number": 365.25, "object": {"next": None}, "null": None, "bytes": {"$binary": "AP+A"}}
pairs = [NewPair(key=prefix + kind, value=value) for kind, value in values.items()]
put = batch_put.sync(client=client, body=PairsToWrite(pairs=pairs))
out["batch_put"] = [one["outcome"] for one in put.to_dict()["results"]] if put else None
read = a(FoundPairs, batch_get.sync(client=client, body=KeysToRead(keys=[prefix + kind for kind in (*values, "none")])))
out["batch_get"] = {one.key.removeprefix(prefix): one.value for one in read.pairs}
out["missing"] = [key.removeprefix(prefix) for key in read.missing]

out["pair_put"] = {}
for kind, value in values.items():
    # httpx sends no body for None.
    if value is not None:
        written = a(WrittenPair, pair_put.sync(prefix + kind, client=client, body=value))
        out["pair_put"][kind] = written.created
out["pair_get"] = {}
for kind in values:
    payload = a(File, pair_get.sync(prefix + kind, client=client)).payload.read()
    out["pair_get"][kind] = payload.hex() if kind == "bytes" else json.loads(payload)
failed = a(Problem, pair_put.sync(prefix + "string", client=client, body=1, if_match='"1"'))
out["conflict"] = [failed.status, failed.code]
failed = a(Problem, pair_get.sync(prefix + "none", client=client))
out["no_such_key"] = [failed.status, failed.code]
out["incr"] = a(Sum, kv_incr.sync(prefix + "count", client=client, body=Addition(by=2))).value
out["incr_without_body"] = a(Sum, kv_incr.sync(prefix + "count", client=client)).value

listing = a(KeyListing, kv_list.sync(client=client, prefix=prefix, keys_only=True))
out["list"] = [key.removeprefix(prefix) for key in listing.keys]

put_step = PutStep(op=PutStepOp.PUT, key=prefix + "new", value=None, if_revision=0)
incr_step = IncrStep(op=IncrStepOp.INCR, key=prefix + "count")
get_step = GetStep(op=GetStepOp.GET, key=prefix + "bytes")
done = kv_txn.sync(
    client=client,
    body=Transaction(
        compare=[Comparison(key=prefix + "string", value="Earth"), Comparison(key=prefix + "none", exists=False)],
        success=[put_step, incr_step, get_step],
    ),
)
results = done.to_dict() if done else {}
out["txn"] = [results["succeeded"], [[one["outcome"], one.get("value")] for one in results["results"]]]

revision = a(WrittenPair, pair_put.sync(prefix + "new", client=client, body=1)).revision
to_delete = KeysToDelete(keys=[prefix + "count", KeyAtRevision(key=prefix + "new", if_revision=[1, revision])])
deleted = batch_delete.sync(client=client, body=to_delete)
out["batch_delete"] = [one["outcome"] for one in deleted.to_dict()["results"]] if deleted else None
gone = pair_delete.sync(prefix + "null", client=client)
out["pair_delete"] = gone.to_dict()["deleted"] if gone else None

lines = "".join(json.dumps({"key": f"{prefix}lines/{n}", "value": n}) + "\n" for n in range(2))
imported = a(File, kv_import.sync(client=client, body=File(payload=BytesIO(lines.encode())))).payload.read()
out["import"] = json.loads(imported.splitlines()[-1])
exported = a(File, kv_export.sync(client=client, prefix=prefix + "lines/")).payload.read()
out["export"] = [json.loads(line)["value"] for line in exported.splitlines()]

permissions = [NewPermission(prefix=f"{prefix}{n}/", read=True) for n in range(1000)]
role = a(Role, role_set.sync("wide", client=client, body=NewPermissions(permissions=permissions)))
out["role"] = len(role.permissions)
role_delete.sync("wide", client=client)
out["key_set"] = [key.kty for key in a(KeySet, key_set.sync(client=anyone)).keys]
auth_logout.sync(client=client)
failed = a(Problem, kv_list.sync(client=client))
out["logged_out"] = [failed.status, failed.code]
print(json.dumps(out))
