"""The pool on a Ray cluster: two real nodes on this machine, one of which is killed."""

import asyncio
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner

from memp.errors import EnvironmentFailed, MempError, MissingExtra, UnknownName
from memp.stores.sqlite import SqliteStore
from memp_bench.agents.episode import EpisodeFile
from memp_bench.cli import main
from memp_bench.envs import ray_node
from memp_bench.envs.ray_cluster import RayCluster, cluster_at
from memp_bench.envs.ray_pool import RayPool, RaySlot
from memp_bench.envs.slots import Folders, PoolUnfit, SlotLost, pool_maker

HERE = Path(__file__).parent
PLAYER = "workplayers:Player"
slow = pytest.mark.slow
opt_in = pytest.mark.skipif(
    not os.environ.get("MEMP_TEST_RAY_KILL"), reason="starts one more cluster: set MEMP_TEST_RAY_KILL=1"
)


class NoClusterError(Exception):
    """Ray gives a node 30 s to start, and no setting changes that: too few on a machine that is busy enough."""


class Nodes:
    """The script `raynodes.py` in a process of its own."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._child = subprocess.Popen(
            [sys.executable, str(HERE / "raynodes.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
            start_new_session=True,
        )
        self._mark = environ["MEMP_TEST_MARK"]
        address, self.second = self._said().split()
        self.address = f"127.0.0.1:{address.rpartition(':')[2]}"

    def kill_second(self) -> None:
        """As a power cut would."""
        assert self._child.stdin is not None
        self._child.stdin.write("kill\n")
        self._child.stdin.flush()
        assert self._said() == "killed"

    def _said(self) -> str:
        """The next line that is ours; Ray prints too."""
        assert self._child.stdout is not None
        for line in self._child.stdout:
            if line.startswith("nodes: "):
                return line.removeprefix("nodes: ").strip()
        raise NoClusterError(f"it ended with code {self._child.wait()}")

    def close(self) -> None:
        """End the cluster; none of its processes may be left."""
        self._child.communicate(timeout=60)
        until(lambda: not marked_by(self._mark))


def marked_by(mark: str) -> list[int]:
    """The processes that were started, directly or not, with MEMP_TEST_MARK=mark."""
    found = []
    for file in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # ended meanwhile, or another user's
            if f"MEMP_TEST_MARK={mark}\0".encode() in file.read_bytes():
                found.append(int(file.parent.name))
    return found


def until(true: Callable[[], bool], within: float = 120.0) -> None:
    """Wait for it."""
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    if find_spec("ray") is None:  # it is imported when its settings stand
        pytest.skip("needs the extra ray")
    home = tmp_path_factory.mktemp("home")
    path = os.pathsep.join([str(HERE), *filter(None, sys.path)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")  # for the cluster and for this process, which joins it
        patch.setenv("RAY_AUTH_TOKEN", "0" * 64)
        environ = {**os.environ, "PYTHONPATH": path, "HOME": str(home), "MEMP_TEST_MARK": str(home)}
        environ |= {"RAY_USAGE_STATS_ENABLED": "0", "OPENAI_API_KEY": "sk-of-the-node"}
        made = started(environ)
        yield made
        made.close()


def started(environ: dict[str, str]) -> Nodes:
    for _ in range(3):
        with suppress(NoClusterError):
            return Nodes(environ)
    pytest.skip("Ray could not start two nodes in its 30 s, three times: the machine is too busy")


@pytest.fixture(scope="module")
def cluster(nodes: Nodes) -> Iterator[RayCluster]:
    """Joined once, for that takes seconds."""
    cluster = RayCluster(nodes.address)
    cluster.join(nodes)
    yield cluster
    cluster.leave(nodes)


@pytest.fixture
async def pool(cluster: RayCluster) -> AsyncIterator[RayPool]:
    pool = RayPool(PLAYER, {"start": 5}, cluster=cluster, size=4)
    yield pool
    await pool.close()


@slow
async def test_it_plays_as_the_pool_of_processes_does(pool: RayPool) -> None:
    async with pool.lease() as one, pool.lease() as two, pool.lease() as three:
        assert await asyncio.gather(*(s.call("add", n) for s, n in ((one, 1), (two, 10), (three, 100)))) == [6, 15, 105]
        assert [await slot.call("add", 0) for slot in (one, two, three)] == [6, 15, 105]
        assert sorted(pool.places().values()) == [1, 2], "on both nodes"
        with pytest.raises(UnknownName, match="Did you mean fast"):
            await one.call("refuse", "unknown")
        with pytest.raises(EnvironmentFailed, match="bug: ZeroDivisionError: a bug"):
            await one.call("bug")
        with pytest.raises(EnvironmentFailed, match="code 7: last words") as crashed:
            await two.call("die")
        assert not isinstance(crashed.value, SlotLost), "a crash is the game's own"
    async with pool.lease() as slot:
        assert await slot.call("add", 1) == 6, "what crashed is replaced"


@slow
async def test_players_on_nodes_get_no_secrets_and_fixed_hashes(pool: RayPool) -> None:
    async with pool.lease() as slot:
        assert await slot.call("env", "OPENAI_API_KEY") is None
        assert await slot.call("env", "RAY_AUTH_TOKEN") is None
        assert await slot.call("env", "PYTHONHASHSEED") == "0"


@slow
async def test_stalls_cancelled_calls_and_recycling(cluster: RayCluster) -> None:
    pool = RayPool(PLAYER, cluster=cluster, size=2, processes=1, recycle_after=2, timeout=2.0)
    try:
        async with pool.lease() as slot:
            first = await slot.call("pid")
            asking = asyncio.create_task(slot.call("sleep", 0.3))
            await asyncio.sleep(0.05)
            asking.cancel()
            assert await slot.call("add", 2) == 2
        async with pool.lease() as slot:
            assert await slot.call("pid") == first
        async with pool.lease() as slot:
            assert await slot.call("pid") != first, "replaced after two games"
            with pytest.raises(EnvironmentFailed, match="did not answer sleep within 2 s"):
                await slot.call("sleep", 60.0)
        held = [await pool.acquire() for _ in range(2)]
        waiting = asyncio.create_task(pool.acquire())
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await pool.release(held.pop())
        await pool.release(await waiting)
        await pool.close()
        with pytest.raises(SlotLost, match="the pool was closed"):
            await held[0].call("add", 1)
        await pool.release(held[0])
        async with pool.lease() as slot:
            assert await slot.call("add", 1) == 1, "a closed pool may be used again"
    finally:
        await pool.close()


@slow
async def test_a_node_with_other_code_or_without_the_games_is_refused(
    cluster: RayCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    folders = Folders(read=(f"{tmp_path}/games",), write=(f"{tmp_path}/made", f"{tmp_path}/file/cache"))
    pool = RayPool(PLAYER, cluster=cluster, size=1, folders=folders)
    async with pool.lease() as slot:
        with pytest.raises(PoolUnfit, match=r"games is not there; .*file/cache cannot be made .*the same folders"):
            await slot.call("add", 1)
    assert (tmp_path / "made").is_dir()
    mine = ray_node.installed()
    monkeypatch.setattr(ray_node, "installed", lambda: {**mine, "memp": "9.9"})
    async with pool.lease() as slot:
        with pytest.raises(PoolUnfit, match=r"memp is 0\.\S+, here 9\.9\. Install the same"):
            await slot.call("add", 1)
    await pool.close()


@slow
async def test_a_lost_actor_fails_its_episodes_and_the_others_play_on(pool: RayPool) -> None:
    slots = [await pool.acquire() for _ in range(4)]
    players = [await slot.call("pid") for slot in slots]
    asking = [asyncio.create_task(slot.call("sleep", 1.0)) for slot in slots]
    os.kill(parent_of(players[0]), signal.SIGKILL)
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert [isinstance(answer, SlotLost) for answer in answers] == [pid == players[0] for pid in players]
    assert answers.count("awake") == 2
    assert all("was lost: The actor" in str(answer) for answer in answers if answer != "awake")
    for slot, pid in zip(slots, players, strict=True):
        if pid == players[0]:
            with pytest.raises(SlotLost, match=r"an actor on node .* was lost"):
                await slot.call("add", 1)
        else:
            assert await slot.call("add", 0) == 5, "those of the other actor have their games"
        await pool.release(slot)
    until(lambda: not Path(f"/proc/{players[0]}").exists())
    async with pool.lease() as one, pool.lease() as two, pool.lease() as three, pool.lease() as four:
        assert {await slot.call("pid") for slot in (one, two, three, four)} == set(players[1:]) - {players[0]}
        assert list(pool.places().values()) == [4]


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@slow
async def test_a_pool_gives_its_idle_places_to_another(cluster: RayCluster, pool: RayPool) -> None:
    other = RayPool(PLAYER, cluster=cluster, size=2)
    async with pool.lease() as one:
        busy = await one.call("pid")
        async with pool.lease() as two:
            idle = await two.call("pid")
        async with other.lease() as slot:
            assert await slot.call("add", 1) == 1
            assert await one.call("pid") == busy
            until(lambda: not Path(f"/proc/{idle}").exists())
    await other.close()


# -- studies -------------------------------------------------------------------------------------------

STUDY = """
name = "two-nodes"
title = "A study on two nodes"
question = "Does a lost node change anything?"
base = "none"
curve = "groups"
[full]
places = [{ label = "household seen", benchmark = "household", split = "seen", games = 12, max_steps = 20 }]
backbones = [{ label = "sim:novice", agent = "sim:novice" }]
arms = [
  { label = "none", memory = "none", every = 6 },
  { label = "adjustment", memory = "new", update = "adjustment", every = 6, k = 5 },
]
seeds = [0]
[smoke]
places = [{ label = "household seen", benchmark = "household", split = "seen", games = 2 }]
backbones = [{ label = "sim:novice", agent = "sim:novice" }]
arms = [{ label = "none", memory = "none", every = 6 }, { label = "new", memory = "new", every = 6 }]
seeds = [0]
"""


@pytest.fixture(scope="module")
def local_study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The study's file, the folder of games, and the study as processes of this machine play it."""
    pytest.importorskip("textworld", reason="needs the extra alfworld")
    root = tmp_path_factory.mktemp("local")
    (root / "study.toml").write_text(STUDY)
    study(root / "study.toml", "--out", root / "out", "--cache", root / "cache")
    return root / "study.toml", root / "cache", root / "out"


def study(file: Path, *words: object) -> None:
    """`memp study run FILE`."""
    done = CliRunner().invoke(main, ["study", "run", str(file), *map(str, words), "--json"])
    assert done.exit_code == 0, done.output[-2000:]
    assert json.loads(done.stdout)["results"], "nothing but the answer is on stdout"


def played(out: Path) -> dict[str, Counter[str]]:
    """For each cell, how often each game stands in its tables' episodes."""
    return {
        run.name: Counter(EpisodeFile(file).read().task_id for file in run.glob("episodes/*"))
        for run in (out / "runs").iterdir()
    }


def remembered(out: Path) -> list[tuple[object, ...]]:
    """What the study's memories hold: every trajectory, every procedure with its revisions, and its credit."""
    found: list[tuple[object, ...]] = []
    for file in sorted(out.glob("runs/*/memory.db")):
        store = SqliteStore(file, create=False)
        told = list(store.trajectories("default"))
        assert len({t.source for t in told}) == len(told), "each game once"
        found += [(t.id, t.task, t.reward, [(s.action, s.observation) for s in t.steps]) for t in told]
        for head in store.heads("default", ""):
            (procedure,) = store.find("default", [head.id])
            found.append((procedure.task, procedure.revision.number, procedure.revision.content, procedure.served))
        store.close()
    return found


def lost_in(out: Path) -> int:
    """Attempts at episodes that a lost machine ended."""
    text = "".join(file.read_text() for file in out.glob("runs/*/episodes/*"))
    return text.count('"kind":"SlotLost"')


def spent(out: Path) -> int:
    """Model calls that were paid for."""
    return json.loads((out / "provenance.json").read_text())["spent"]["calls"]


@slow
@pytest.mark.engine
def test_a_study_that_loses_a_node_is_the_study_of_one_machine(
    nodes: Nodes,
    cluster: RayCluster,
    local_study: tuple[Path, Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The node is killed after the tenth step on it: one episode at least is in the middle, and has cost something."""
    file, cache, local = local_study
    out, steps, call = tmp_path / "ray", itertools.count(1), RaySlot.call

    async def call_and_kill(self: RaySlot, method: str, *arguments: object) -> object:
        answer = await call(self, method, *arguments)
        if method == "step" and not answer.done and self.actor.node == nodes.second and next(steps) == 10:
            nodes.kill_second()
        return answer

    monkeypatch.setattr(RaySlot, "call", call_and_kill)
    study(file, "--out", out, "--cache", cache, "--pool", f"ray://{nodes.address}", "--workers", "4")
    assert lost_in(out) > 0
    assert played(out) == played(local)
    assert all(set(games.values()) == {1} and len(games) == 12 for games in played(out).values())
    assert remembered(out) == remembered(local)
    assert (out / "tables.csv").read_bytes() == (local / "tables.csv").read_bytes()
    assert (out / "tables.csv").read_text().count("\n") > 2, "there are figures in it"
    assert spent(out) > spent(local), "what the lost episodes used is counted"


@slow
@pytest.mark.engine
@pytest.mark.parametrize("how", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=opt_in)])
def test_a_cluster_of_ones_own_ends_with_the_command(
    how: signal.Signals, local_study: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    """Ctrl-C goes to the command and to all that it started. Going on, elsewhere, loses nothing."""
    if find_spec("ray") is None:
        pytest.skip("needs the extra ray")
    file, cache, local = local_study
    words = ["study", "run", str(file), "--out", str(tmp_path / "out"), "--cache", str(cache)]
    marked = {**os.environ, "MEMP_TEST_MARK": tmp_path.as_posix(), "HOME": str(tmp_path)}
    memp = [sys.executable, "-c", "from memp_bench.cli import main; main()"]
    with (tmp_path / "stderr").open("wb") as stderr:
        command = subprocess.Popen([*memp, *words, "--pool", "ray"], env=marked, stderr=stderr, start_new_session=True)
    until(lambda: any((tmp_path / "out").glob("runs/*/episodes/*")) or command.poll() is not None)
    if command.poll() is not None:
        said = (tmp_path / "stderr").read_text()
        assert "timed out during startup" in said, said
        pytest.skip("Ray could not start a node in its 30 s: the machine is too busy")
    os.killpg(command.pid, how)
    assert command.wait(60) == (130 if how == signal.SIGINT else -how)
    until(lambda: not marked_by(tmp_path.as_posix()))
    study(file, *words[3:])
    assert played(tmp_path / "out") == played(local)
    assert remembered(tmp_path / "out") == remembered(local)
    assert (tmp_path / "out" / "tables.csv").read_bytes() == (local / "tables.csv").read_bytes()


# -- what needs no Ray ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ray://", "ray://nowhere", "rays", "ray://auto?cpus=0", "ray://auto?gpus=1"])
def test_a_name_of_no_cluster_is_refused(name: str) -> None:
    with pytest.raises(MempError, match=r"no Ray cluster|unknown pool|at least one CPU"):
        pool_maker(name)


def test_names_of_clusters() -> None:
    if find_spec("ray") is None:
        pytest.skip("needs the extra ray")
    assert (cluster_at("ray").address, cluster_at("ray").cpus) == (None, 1)
    assert (cluster_at("ray://auto").address, cluster_at("ray://auto?cpus=4").cpus) == ("auto", 4)
    assert cluster_at("ray://10.0.0.1:6379").address == "10.0.0.1:6379"
    with pytest.raises(ValueError, match="at least one slot"):
        RayPool(PLAYER, cluster=cluster_at("ray"), size=0)


def test_where_no_cluster_is_it_says_so() -> None:
    if find_spec("ray") is None:
        pytest.skip("needs the extra ray")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(PoolUnfit, match=rf"no Ray cluster at 127\.0\.0\.1:{port} can be joined .*refused"):
        RayCluster(f"127.0.0.1:{port}").join(object())


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"playing on a Ray cluster needs the extra 'ray': pip install"):
        pool_maker("ray")
