"""Other people's methods over the same records: the baselines of the paper's Fig. 4, by name.

`expel` and `awm` are policies for `update=` and for `retrieve=`. They need the store to find their document in, so
they are made for one memory (`policies`) instead of being looked up by the library.
"""

from typing import NamedTuple

from memp.build import NAMES as BUILD
from memp.errors import UnknownName
from memp.models.base import ChatModel
from memp.retrieve import NAMES as RETRIEVE
from memp.retrieve import RetrievePolicy
from memp.stores.base import Store
from memp.update import NAMES as UPDATE
from memp.update import UpdatePolicy
from memp_bench.baselines.awm import ROOM, AwmRetrieve, AwmUpdate
from memp_bench.baselines.expel import ExpelRetrieve, ExpelUpdate

__all__ = [
    "NAMES",
    "AwmRetrieve",
    "AwmUpdate",
    "ExpelRetrieve",
    "ExpelUpdate",
    "Policies",
    "check",
    "names",
    "policies",
]

NAMES = ("expel", "awm")

_PER_TOKEN = 4
"""Characters of a token, as a recall's budget counts them."""
_AROUND = 200
"""Tokens of a recall that are not the document: header, fence."""


class Policies(NamedTuple):
    """What a memory is made with: a policy object, or the library's name for one."""

    retrieve: str | RetrievePolicy
    update: str | UpdatePolicy


def names(kind: str) -> tuple[str, ...]:
    """All policies for `build`, `retrieve` or `update`: the library's, then those from here."""
    return {"build": BUILD, "retrieve": (*RETRIEVE, *NAMES), "update": (*UPDATE, *NAMES)}[kind]


def check(retrieve: str, update: str) -> None:
    """Whether there are policies of these names, in the library or here.

    Raises:
        UnknownName: there is none; says which are near.
    """
    for kind, name in (("retrieve", retrieve), ("update", update)):
        if name not in names(kind):
            raise UnknownName(f"{kind} policy", name, names(kind))


def policies(
    retrieve: str,
    update: str,
    *,
    store: Store,
    namespace: str = "default",
    model: ChatModel | None = None,
    success_at: float = 1.0,
    max_tokens: int | None = None,
) -> Policies:
    """The policies of these names for the memory in `store`; names of the library stay names.

    Args:
        retrieve, update: `expel`, `awm`, or the library's.
        store, namespace: of the memory.
        model: writes insights and workflows, metered by the caller; None leaves it to rules.
        success_at: reward from which a trajectory counts as a success.
        max_tokens: budget of a recall; AWM's document grows no longer than that.

    Raises:
        UnknownName: there is no policy of that name.
    """
    check(retrieve, update)
    retrieving: str | RetrievePolicy = retrieve
    updating: str | UpdatePolicy = update
    if retrieve == "expel":
        retrieving = ExpelRetrieve(store, namespace)
    elif retrieve == "awm":
        retrieving = AwmRetrieve(store, namespace)
    if update == "expel":
        updating = ExpelUpdate(store, namespace, model=model, success_at=success_at)
    elif update == "awm":
        room = ROOM if max_tokens is None else max(0, max_tokens - _AROUND) * _PER_TOKEN
        updating = AwmUpdate(store, namespace, model=model, room=room)
    return Policies(retrieving, updating)
