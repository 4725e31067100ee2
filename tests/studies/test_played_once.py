"""What a teacher plays in the training tasks is shared by all memories that are made of it."""

from memp.models.metered import Meter
from memp.stores.sqlite import SqliteStore
from memp_bench.agents.registry import backbone
from memp_bench.benchmarks import benchmark
from memp_bench.studies.cells import MemoryPlan
from memp_bench.studies.homes import Home
from memp_bench.studies.memories import Bench, make
from memp_bench.studies.spec import Learned


def bench_in(folder, meter):
    house = benchmark("travelplanner", generated=True, cache=folder / "cache", mode="sole-planning")
    return Bench(house, meter, 2, lambda name, config: backbone(name, seed=config.seed), lambda note: None)


def plan_of(*, above, **more):
    return MemoryPlan(
        benchmark="travelplanner",
        generated=True,
        learned=Learned(source="played", games=4, above=above),
        builder="rules",
        teacher="sim:able",
        options={"mode": "sole-planning", "strategy": "direct"},
        **more,
    )


async def test_two_builds_learn_from_the_same_play(tmp_path):
    meter = Meter()
    bench = bench_in(tmp_path, meter)
    plans = [plan_of(above=0.0, build=build, update="vanilla", retrieve="query") for build in ("trajectory", "script")]
    made, calls, sources = [], [], []
    for plan in plans:
        made.append(await make(plan, Home(tmp_path), bench))
        calls.append(meter.total.calls)
        store = SqliteStore(Home(tmp_path).learned(plan.slug).place, create=False)
        sources.append({(found.id, found.reward) for found in store.trajectories("default")})
        store.close()
    assert calls == [4, 4]
    assert sources[0] == sources[1]
    assert len(sources[0]) == made[0].build.trajectories == 4
    assert made[0].digest != made[1].digest
    assert made[0].build.tokens == made[1].build.tokens > 0  # each says what it took, shared or not


async def test_expel_is_given_the_failures_that_others_are_spared(tmp_path):
    bench, kept = bench_in(tmp_path, Meter()), {}
    for update in ("vanilla", "expel"):
        retrieve = "expel" if update == "expel" else "query"
        plan = plan_of(above=1.0, build="trajectory", update=update, retrieve=retrieve)
        kept[update] = (await make(plan, Home(tmp_path), bench)).build
    assert (kept["vanilla"].trajectories, kept["expel"].trajectories) == (0, 4)
