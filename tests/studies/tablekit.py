"""Episodes and runs by hand: `e` is one episode, `run` one cell under one seed."""

from datetime import UTC, datetime

from memp.models.base import Reply
from memp.records import Step, Usage
from memp_bench.agents.episode import Episode, Failure
from memp_bench.studies.spec import Arm, Backbone, Learned, Place, Size, Study
from memp_bench.studies.tables import Played

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def e(task, won, *, steps=5, tokens=100, family="pick", played=True, recalled="", simulated=False, stop="stop", **more):
    failure = None if played else Failure(boundary="environment", kind="EnvironmentFailed", message="id 4711 broke")
    return Episode(
        task_id=task,
        family=family,
        model="openai:test",
        simulated=simulated,
        recalled=recalled,
        memp_version="0",
        started_at=more.pop("started_at", NOON),
        status="done" if played else "failed",
        failure=failure,
        reward=float(won),
        success=won,
        steps=tuple(Step(action="look" if stop == "stop" else "") for _ in range(steps)),
        replies=tuple(Reply(text="x", usage=Usage(), model="test", stop=stop) for _ in range(steps)),
        usage={
            "act": Usage(calls=steps, input_tokens=tokens - 10, output_tokens=10),
            "plan": Usage(calls=1, input_tokens=1, output_tokens=1),
        },
        **more,
    )


def run(arm, *groups, seed=0, place="dev", backbone="big", simulated=False, **more):
    return Played(place, backbone, arm, seed, simulated, groups, more.pop("rates", {}), **more)


def study(arms=("none", "memory"), seeds=(0, 1), *, places=("dev",), backbones=("big",), **more):
    size = Size(
        places=tuple(Place(label=label, benchmark="household", split="seen") for label in places),
        backbones=tuple(Backbone(label=label, agent="openai:test") for label in backbones),
        arms=tuple(arm if isinstance(arm, Arm) else _arm(arm) for arm in arms),
        seeds=seeds,
        learned={"household": Learned()},
    )
    return Study(name="hand", title="By hand", question="Does it add up?", full=size, smoke=size, **more), size


def _arm(label):
    return Arm(label=label, memory="none" if label == "none" else "learned")
