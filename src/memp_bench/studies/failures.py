"""Failures in plain houses whose cause is known, because it was planted.

Each is played twice from the same draws: without the planted cause the task is won, with it it is lost. So the cause is
the cause, and not merely something that was there, too.
"""

import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from memp.blame import Verdict
from memp.build.rules import script_by_rule
from memp.models.base import ChatModel, Message, Reply
from memp.models.wrapped import Wrapped
from memp.recall import Recall, Recalled
from memp.records import Author, Content, Procedure, Revision, Script, Trajectory, now
from memp_bench.agents.episode import Episode, trajectory_of
from memp_bench.agents.react import play
from memp_bench.agents.simulated import simulated
from memp_bench.envs.base import Environment, Observation, Opening, Task
from memp_bench.envs.plain.benchmark import CLOSED, FAMILIES, OPEN, VERBS, PlainHouses, Ways

CAUSES = ("appliance", "place", "ignored", "slips", "another kind", "fault")
VERDICT: dict[str, Verdict] = {
    "appliance": "procedure",
    "place": "procedure",
    "ignored": "not-followed",
    "slips": "not-followed",
    "another kind": "did-not-apply",
    "fault": "environment",
}
FAULTS = (
    "Error 429: Too Many Requests. Rate limit reached; please retry after 20 s.",
    "HTTP 503 Service Unavailable",
    "500 Internal Server Error",
    "502 Bad Gateway",
    "Request timed out after 60 seconds.",
    "requests.exceptions.ConnectionError: ('Connection aborted.', ConnectionResetError(104, 'reset by peer'))",
    "httpx.ReadTimeout: The read operation timed out",
    "openai.RateLimitError: Error code: 429 - {'error': {'message': 'Rate limit reached for requests'}}",
    "anthropic.APIStatusError: 529 overloaded_error: Overloaded",
    "The service is temporarily unavailable. Please try again later.",
    "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
    "psycopg.OperationalError: server closed the connection unexpectedly",
    "Tool call failed: deadline exceeded",
    "[Errno -3] Temporary failure in name resolution",
    "The model is currently overloaded with other requests. That model will be ready again shortly.",
    "504 Gateway Timeout: the upstream server did not respond in time",
)
"""As providers and tools word what passes: for the half on which blame was made."""
OTHER_FAULTS = (
    "RESOURCE_EXHAUSTED: Quota exceeded for aiplatform.googleapis.com/generate_content_requests_per_minute",
    "503: The engine is currently overloaded, please try again later",
    "ThrottlingException: Rate exceeded",
    "botocore.exceptions.EndpointConnectionError: Could not connect to the endpoint URL",
    "aiohttp.client_exceptions.ServerDisconnectedError: Server disconnected",
    "urllib3.exceptions.ReadTimeoutError: HTTPSConnectionPool(port=443): Read timed out. (read timeout=30)",
    "curl: (28) Operation timed out after 30001 milliseconds with 0 bytes received",
    "curl: (56) Recv failure: Connection reset by peer",
    "sqlite3.OperationalError: database is locked",
    "UNAVAILABLE: io exception; Channel shut down",
    "net::ERR_CONNECTION_RESET",
    "net::ERR_TIMED_OUT",
    "Error: socket hang up",
    "Your request could not be processed right now. Try again in a few minutes.",
    "We are experiencing high demand. Please wait a moment and retry.",
    "Lost connection to MySQL server during query",
    "Backend fetch failed: Guru Meditation 503",
    "Error 1015: You are being rate limited",
    "503 UNAVAILABLE. {'error': {'code': 503, 'message': 'The model is overloaded.', 'status': 'UNAVAILABLE'}}",
    "Connection broken: InvalidChunkLength(got length b'', 0 bytes read)",
    'Get "https://example.invalid/api/datasources/uid/1": EOF',
    "TypeError: terminated [cause]: SocketError: other side closed",
    "BodyTimeoutError: Body Timeout Error",
    "Agent stalled: no progress for 600s (stream watchdog did not recover)",
    "ConnectionError: Unable to connect to api.example.invalid",
    "Received an unexpected EOF or 0 bytes from the transport stream",
    "Page.set_content: Target page, context or browser has been closed",
    "Protocol error (Page.navigate): Session closed. Most likely the page has been closed.",
    "session deleted because of page crash",
    "TypeError: network error",
)
"""Likewise, for the reported half; the last twelve as people quoted them in public bug reports."""


@dataclass(frozen=True)
class Failure:
    """One lost task with its cause."""

    cause: str
    content: Content
    """What was served."""
    failed: Trajectory
    wrong: tuple[int, ...] = ()
    """Numbers of the steps that the planted cause changed."""

    @property
    def verdict(self) -> Verdict:
        """What blame should say."""
        return VERDICT[self.cause]


class _Faulty:
    """An environment that breaks at a step, for some rounds or for good."""

    def __init__(self, inner: Environment, text: str, at: int, rounds: int, marked: bool) -> None:
        self._inner, self._text, self._at, self._rounds, self._marked = inner, text, at, rounds, marked
        self.count = 0

    async def reset(self, task: Task) -> Opening:
        """See `Environment.reset`."""
        self.count = 0
        return await self._inner.reset(task)

    async def step(self, action: str) -> Observation:
        """See `Environment.step`."""
        self.count += 1
        if self._at <= self.count < self._at + self._rounds:
            return Observation(text=self._text, invalid=self._marked)
        return await self._inner.step(action)

    async def close(self) -> None:
        """See `Environment.close`."""
        await self._inner.close()


class _Slips(Wrapped):
    """A player whose commands are mostly worded so that they are not understood."""

    simulated = True

    def __init__(self, model: ChatModel, *, share: float, seed: int) -> None:
        super().__init__(model)
        self._share, self._seed = share, seed

    @property
    def name(self) -> str:
        """The player's name, and that it slips."""
        return f"{self.model.name}, slipping"

    async def asked(self, messages: Sequence[Message], purpose: str, ask: Callable[[], Awaitable[Reply]]) -> Reply:
        """The reply, mostly blurred."""
        reply = await ask()
        draw = random.Random(f"memp slips {self._seed} {len(messages)}")
        if draw.random() >= self._share:
            return reply
        thought, _, action = reply.text.rpartition("Action: ")
        blurred = re.sub(r" \d+", "", action)
        said = blurred if draw.random() < 0.7 else f"please {blurred}"
        return reply.model_copy(update={"text": f"{thought}Action: {said}"})


class Failures:
    """Makes labelled failures; the same seed makes the same ones."""

    def __init__(self, seed: int = 0, *, player: str = "sim:novice", faults: Sequence[str] = FAULTS) -> None:
        self._faults = faults
        self._houses = PlainHouses(seed)
        self._seed = seed
        self._model = simulated(player, seed=seed)

    async def made(self, each: int) -> AsyncIterator[Failure]:
        """`each` failures of every cause."""
        for cause in CAUSES:
            found = 0
            for task in self._houses.tasks("train", games=60 * each, seed=self._seed):
                if found == each:
                    break
                if (failure := await self._try(cause, task)) is not None:
                    found += 1
                    yield failure

    async def _try(self, cause: str, task: Task) -> Failure | None:
        """The failure of `task` by `cause`; None when it is won with it, or lost without it."""
        draw = random.Random(f"memp failures {self._seed} {cause} {task.id}")
        right = await self._content(task, self._houses.actions(task))
        if not (await self._play(task, right)).success:
            return None
        served = right
        wrong: tuple[int, ...] = ()
        if cause in ("appliance", "place"):
            actions = self._houses.actions(task, self._wrong(cause, task))
            served = await self._content(task, actions)
            wrong = _changed(right, served)
            if not wrong:
                return None
            lost = await self._play(task, served)
        elif cause == "another kind":
            served = await self._another(task, draw)
            lost = await self._play(task, served)
        elif cause == "fault":
            lost = await self._play(task, right, environment=self._broken(draw))
        elif cause == "ignored":
            lost = await self._play(task, None)
        else:
            lost = await self._play(task, right, model=_Slips(self._model, share=0.75, seed=draw.randrange(1_000)))
        if lost.success:
            return None
        return Failure(cause, served, trajectory_of(lost, f"{cause}/{task.id}"), wrong)

    def _broken(self, draw: random.Random) -> Environment:
        rounds = draw.choice((3, 6, 100))
        return _Faulty(
            self._houses.environment(), draw.choice(self._faults), draw.randint(1, 4), rounds, draw.random() < 0.5
        )

    def _wrong(self, cause: str, task: Task) -> Ways:
        """The ways of a world in which one thing that matters to the task is otherwise."""
        true, goal = self._houses.ways(-1), self._houses.goal(task)
        if cause == "appliance":
            if not goal.verb:
                return true
            other = next(place for place in VERBS[goal.verb] if place != true.works[goal.verb])
            return Ways(true.homes, {**true.works, goal.verb: other})
        places = [place for place in (*OPEN, *CLOSED) if place not in (true.homes[goal.thing], goal.place)]
        place = random.Random(f"memp failures {task.id} place").choice(places)
        return Ways({**true.homes, goal.thing: place}, true.works)

    async def _another(self, task: Task, draw: random.Random) -> Content:
        """The right procedure of a task of another kind."""
        others = [family for family in FAMILIES if family != task.family]
        family = draw.choice(others)
        tasks = [
            other for other in self._houses.tasks("train", games=60, seed=self._seed + 1) if other.family == family
        ]
        other = draw.choice(tasks)
        return await self._content(other, self._houses.actions(other))

    async def _content(self, task: Task, actions: Sequence[str]) -> Content:
        """What those actions teach: all of them, as if they had worked."""
        done = await self._houses.record(task, actions, "told")
        steps = tuple(s.model_copy(update={"error": None, "observation": "Done."}) for s in done.steps)
        return Content(task=done.task, script=script_by_rule(done.model_copy(update={"steps": steps, "reward": 1.0})))

    async def _play(
        self,
        task: Task,
        content: Content | None,
        *,
        environment: Environment | None = None,
        model: ChatModel | None = None,
    ) -> Episode:
        async def recall(words: str) -> Recall | None:
            return None if content is None else served(content, words)

        return await play(
            environment or self._houses.environment(),
            task,
            model or self._model,
            instructions=self._houses.instructions,
            recall=recall,
        )


def served(content: Content, task: str) -> Recall:
    """A recall that serves one procedure of a script."""
    at = now()
    revision = Revision(
        procedure_id="p", number=1, content=content, reason="planted", author=Author(policy="test"), at=at
    )
    procedure = Procedure(id="p", namespace="n", created_at=at, revision=revision)
    return Recall(
        id="r",
        namespace="n",
        task=task,
        policy="planted",
        ranked=(Recalled(procedure=procedure, score=1.0, why="planted"),),
        at=at,
    )


def _changed(right: Content, wrong: Content) -> tuple[int, ...]:
    """Numbers of the steps of `wrong` that `right` has not."""
    good, bad = _script(right), _script(wrong)
    return tuple(number for number, step in enumerate(bad.steps, 1) if step not in good.steps)


def _script(content: Content) -> Script:
    assert content.script is not None, "planted contents have scripts"
    return content.script
