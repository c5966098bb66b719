"""What the answers of key-value operations look like over every transport: exactly the promised members, no more.

Their order is compared where a transport has one, with the outcome that a row expects.
"""

from __future__ import annotations

PAIR = {"key", "value", "revision"}
MAY = {"expires_at", "content_type"}

# The members of what became of a key.
_WITH_REVISION = {"key", "outcome", "revision"}
_WITHOUT = {"key", "outcome"}
BATCH_PUT = {
    "written": _WITH_REVISION, "exists": _WITH_REVISION, "conflict": _WITH_REVISION, "missing": _WITHOUT,
    "forbidden": _WITHOUT, "too_large": _WITHOUT, "aborted": _WITHOUT,
}  # fmt: skip
BATCH_DELETE = {
    "deleted": _WITH_REVISION, "conflict": _WITH_REVISION, "missing": _WITHOUT, "forbidden": _WITHOUT, "aborted": _WITHOUT,
}  # fmt: skip


def _is_revision(seen, least: int = 1) -> bool:
    return isinstance(seen, int) and not isinstance(seen, bool) and seen >= least


def _assert_pair(one: dict) -> None:
    assert PAIR <= one.keys() <= PAIR | MAY and _is_revision(one["revision"]), one
    assert isinstance(one["key"], str) and isinstance(one.get("content_type", ""), str), one
    assert isinstance(one.get("expires_at", 0), (int, float)), one


def _assert_results(results: list, members: dict) -> None:
    for one in results:
        assert one["outcome"] in members and one.keys() == members[one["outcome"]], one
        assert "revision" not in one or _is_revision(one["revision"], 0), one


def _assert_steps(results: list) -> None:
    for one in results:
        match one["outcome"]:
            case "found":
                _assert_pair({name: member for name, member in one.items() if name != "outcome"})
            case "missing":
                assert one.keys() == _WITHOUT, one
            case "deleted":
                assert one.keys() == _WITH_REVISION, one
            case outcome:
                assert outcome == "written" and one.keys() - {"value"} == _WITH_REVISION, one


def _assert_events(events: list) -> None:
    for one in events:
        assert one["type"] in ("put", "delete", "expire"), one
        if one["type"] == "put":
            _assert_pair({name: member for name, member in one.items() if name != "type"})
        else:
            assert one.keys() == {"type", "key", "revision"}, one


def assert_answer(name: str, answer: dict) -> None:
    """Fails unless this is what the operation may answer. Which members it has was checked already."""
    match name:
        case "batch_get":
            for one in answer["pairs"]:
                _assert_pair(one)
        case "batch_put":
            _assert_results(answer["results"], BATCH_PUT)
            assert _is_revision(answer["revision"]), answer
        case "batch_delete":
            _assert_results(answer["results"], BATCH_DELETE)
            assert _is_revision(answer["revision"]), answer
        case "kv_txn":
            assert isinstance(answer["succeeded"], bool), answer
            _assert_steps(answer["results"])
            assert _is_revision(answer["revision"]), answer
        case "kv_list":
            for one in answer.get("pairs", []):
                _assert_pair(one)
        case "pair_get":
            _assert_pair(answer)
        case "kv_delete":
            assert type(answer["deleted"]) is int and isinstance(answer["more"], bool), answer
            assert _is_revision(answer["revision"], 2) if answer["deleted"] else answer["revision"] is None, answer
        case "kv_watch":
            assert _is_revision(answer["revision"], 0), answer
            _assert_events(answer["events"])
        case _:
            assert _is_revision(answer["revision"], 2), answer


def members(name: str, answer: dict, usual: set[str]) -> set[str]:
    """The members that this answer has to have, where `usual` are those it mostly has."""
    match name:
        case "pair_get":
            return usual | (answer.keys() & MAY)
        case "kv_list":
            return next((one for one in ({"keys", "next"}, {"count"}) if answer.keys() == one), usual)
    return usual
