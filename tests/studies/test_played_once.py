"""What a teacher plays in the training tasks is shared by all memories that are made of it."""

from memp.models.metered import Meter
from memp.stores.sqlite import SqliteStore
from memp_bench.agents.registry import backbone
from memp_bench.benchmarks import benchmark
from memp_bench.studies.cells import MemoryPlan
from memp_bench.studies.memories import Bench, file_of, make
from memp_bench.studies.spec import Learned


async def test_two_builds_learn_from_the_same_play(tmp_path):
    meter = Meter()
    house = benchmark("travelplanner", generated=True, cache=tmp_path / "cache", mode="sole-planning")
    bench = Bench(house, meter, 2, lambda name, config: backbone(name, seed=config.seed), lambda note: None)
    plans = [
        MemoryPlan(
            benchmark="travelplanner",
            generated=True,
            learned=Learned(source="played", games=4, above=0.0),
            build=build,
            builder="rules",
            update="vanilla",
            retrieve="query",
            teacher="sim:able",
            options={"mode": "sole-planning", "strategy": "direct"},
        )
        for build in ("trajectory", "script")
    ]
    made, calls, sources = [], [], []
    for plan in plans:
        made.append(await make(plan, tmp_path / "memories", bench))
        calls.append(meter.total.calls)
        store = SqliteStore(file_of(tmp_path / "memories", plan), create=False)
        sources.append({(found.id, found.reward) for found in store.trajectories("default")})
        store.close()
    assert calls == [4, 4]
    assert sources[0] == sources[1]
    assert len(sources[0]) == made[0].build.trajectories == 4
    assert made[0].digest != made[1].digest
    assert made[0].build.tokens == made[1].build.tokens > 0  # each says what it took, shared or not
