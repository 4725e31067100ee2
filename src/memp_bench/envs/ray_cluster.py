"""A Ray cluster as this process sees it (extra `ray`): joined by the first pool that plays, left with the last."""

import importlib.util
import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from memp.errors import MempError, MissingExtra
from memp_bench.envs.pool import without_secrets
from memp_bench.envs.slots import NO_FOLDERS, Folders, PoolUnfit, SlotLost

if TYPE_CHECKING:
    from memp_bench.envs.ray_pool import RayPool

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # tells nobody
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # or Ray warns of what it may do some day
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # or it prints the logs of dead nodes where --json puts its answer
}


class RayCluster:
    """The nodes that games are played on.

    Args:
        address: `HOST:PORT` of a cluster that runs, `auto` for the one this machine is a node of, or None for a
            cluster of this machine alone, which ends with the last pool that uses it.
        cpus: CPUs of an actor of a pool, and the processes it has.
        nodes_cpus: CPUs of the cluster that is started; None for those that there are.
    """

    def __init__(self, address: str | None = None, *, cpus: int = 1, nodes_cpus: int | None = None) -> None:
        if cpus < 1:
            raise MempError(f"an actor needs at least one CPU, not {cpus}")
        if importlib.util.find_spec("ray") is None:
            raise MissingExtra("ray", "playing on a Ray cluster")
        self.address = address
        self.cpus = cpus
        self._nodes_cpus = nodes_cpus
        self.pools: list[RayPool] = []
        """Those that share its CPUs."""
        self._users: set[int] = set()
        self._ours = False

    def pool(
        self,
        factory: str,
        options: Mapping[str, Any],
        *,
        size: int = 8,
        processes: int | None = None,
        folders: Folders = NO_FOLDERS,
    ) -> "RayPool":
        """A pool on these nodes; see `RayPool`."""
        from memp_bench.envs.ray_pool import RayPool

        return RayPool(factory, options, cluster=self, size=size, processes=processes, folders=folders)

    def join(self, user: object) -> None:
        """Connect, unless this process is connected. Starting a cluster takes seconds, and blocks.

        Raises:
            PoolUnfit: the cluster cannot be reached or started; says what Ray said.
        """
        if id(user) in self._users:
            return
        self._users.add(id(user))
        try:
            _probe(self.address or "")
            with _clean_environment(), _quiet():
                import ray  # reads the environment

                if ray.is_initialized():
                    return
                if self.address is None:
                    ray.init(
                        address="local",
                        num_cpus=self._nodes_cpus,
                        include_dashboard=False,
                        log_to_driver=False,
                        logging_level=logging.ERROR,
                        object_store_memory=100 * 1024 * 1024,  # games go as messages, not as objects
                    )
                else:
                    ray.init(address=self.address, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:  # whatever Ray raises here, there is no cluster
            self._users.discard(id(user))
            said = " ".join(str(error).split())[:300]
            raise PoolUnfit(f"{self._hint()}: {said}") from error
        self._ours = True

    def _hint(self) -> str:
        if self.address is None:
            return "no Ray cluster could be started on this machine"
        where = "this machine is a node of" if self.address == "auto" else f"at {self.address}"
        return (
            f"no Ray cluster {where} can be joined (this machine must be a node, if only with `ray start "
            "--address=HOST:PORT --num-cpus=0`; Python and Ray must be the same versions; a cluster with a token needs "
            "RAY_AUTH_MODE=token here too)"
        )

    def leave(self, user: object) -> None:
        """Disconnect after the last pool; a cluster that was started here ends."""
        self._users.discard(id(user))
        if self._ours and not self._users:
            import ray

            self._ours = False
            ray.shutdown()

    def make_room(self, asks: "RayPool", room: int) -> None:
        """Where all places are taken the other pools give up those that are idle: a study plays several benchmarks."""
        for pool in self.pools:
            if pool is not asks and sum(pool.actors for pool in self.pools) >= room:
                pool.drop_idle()

    def nodes(self) -> dict[str, int]:
        """The nodes that Ray takes for alive, each with the actors it has room for.

        Raises:
            SlotLost: the cluster does not answer.
        """
        import ray

        try:
            nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        except Exception as error:  # the request boundary
            raise SlotLost(f"the Ray cluster does not answer: {error}") from error
        return {n["NodeID"]: int(n["Resources"].get("CPU", 0) // self.cpus) for n in nodes if n["Alive"]}


def cluster_at(name: str) -> RayCluster:
    """The cluster that `--pool` names: `ray`, `ray://auto` or `ray://HOST:PORT`, the last two also with `?cpus=N`.

    Raises:
        MempError: it names none.
        MissingExtra: Ray is not installed.
    """
    address, _, query = name.removeprefix("ray").removeprefix("://").partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    cpus = options.pop("cpus", "1")
    known = not address or address == "auto" or (":" in address and address.rpartition(":")[2].isdigit())
    if options or not cpus.isdigit() or not known or name == "ray://":
        raise MempError(
            f"{name!r} names no Ray cluster; give ray, ray://auto or ray://HOST:PORT, if need be with ?cpus=N"
        )
    return RayCluster(address or None, cpus=int(cpus))


def _probe(address: str) -> None:
    """Whether anything listens there. Ray itself would try for minutes.

    Raises:
        OSError: nothing does.
    """
    host, _, port = address.rpartition(":")
    if host:
        socket.create_connection((host, int(port)), timeout=10).close()


@contextmanager
def _clean_environment() -> Iterator[None]:
    """What Ray's processes inherit from this one: no keys but Ray's own."""
    before = dict(os.environ)
    ours = {name: value for name, value in before.items() if name.startswith("RAY_")}
    try:
        os.environ.clear()
        os.environ.update({**without_secrets(before), **ours, **_QUIET})
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Ray from telling on the screen that it uses a token, which is what it should."""
    log = logging.getLogger("ray")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
