"""A group of tasks in inspect-ai's terms: data set, solver, scorer, and our models as its provider `memp`."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from inspect_ai import Task as InspectTask
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
    Model,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    get_model,
    modelapi,
)
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver

from memp.models.base import ChatModel, Message, Reply
from memp_bench.agents.episode import Episode
from memp_bench.agents.react import system_prompt
from memp_bench.envs.base import Benchmark, Task
from memp_bench.studies.inspect_player import sample_id
from memp_bench.studies.two_loops import Home

if TYPE_CHECKING:
    from memp_bench.studies.inspect_player import Playing

_STOPS = {"stop": "stop", "length": "max_tokens", "refusal": "content_filter", "other": "unknown"}
_EPISODE = "episode"


class NotPlayed(Exception):
    """A sample that a provider or an environment broke; inspect-ai tries it again."""


def task_of(group: "Playing", workers: int) -> InspectTask:
    """The group as a task of inspect-ai: one sample an episode, in the order of the stream."""
    config = group.episodes.config
    memory = f"{config.build}-{config.retrieve}-{config.update}" if config.memory else "no-memory"
    return InspectTask(
        name=f"{config.benchmark}-{config.split}-{memory}",
        dataset=MemoryDataset([_sample(number, task) for number, task in sorted(group.tasks.items())]),
        solver=_playing(group),
        scorer=_outcome(),
        model=_model(group.model),
        config=GenerateConfig(temperature=config.temperature, max_connections=workers),
        metadata={"run": config.digest, "simulated": group.model.simulated, "config": config.model_dump(mode="json")},
        tags=["simulated"] if group.model.simulated else None,
    )


def _sample(number: int, task: Task) -> Sample:
    return Sample(id=sample_id(number), input=task.id, metadata={"task": task.id, "family": task.family})


# -- the model -------------------------------------------------------------------------------------


@dataclass
class _Call:
    """One call of the model, asked for in the home loop."""

    messages: Sequence[Message]
    purpose: str
    temperature: float | None
    max_tokens: int | None
    stop: Sequence[str]
    answer: "asyncio.Future[Reply]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    reply: Reply | None = None


class _Through:
    """The episode's model, in the home loop: every call is made by the sample, in inspect's loop."""

    def __init__(self, model: ChatModel, loop: asyncio.AbstractEventLoop, inbox: "asyncio.Queue[_Call | None]") -> None:
        self.name, self.simulated = model.name, model.simulated
        self._loop, self._inbox = loop, inbox

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        purpose: str = "act",
        temperature: float | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
    ) -> Reply:
        """Answer the conversation."""
        call = _Call(messages, purpose, temperature, max_tokens, stop)
        self._loop.call_soon_threadsafe(self._inbox.put_nowait, call)
        return await call.answer

    async def close(self) -> None:
        """Nothing is held."""


@modelapi(name="memp")
class _Provider(ModelAPI):  # type: ignore[misc]
    """inspect-ai's view of our model. `home`, `chat` and `call` are set before each call."""

    home: Home
    chat: ChatModel
    call: _Call

    async def generate(
        self, input: list[ChatMessage], tools: Any, tool_choice: Any, config: GenerateConfig
    ) -> ModelOutput:
        call = self.call
        call.reply = reply = await self.home.do(
            lambda: self.chat.complete(
                call.messages,
                purpose=call.purpose,
                temperature=call.temperature,
                max_tokens=call.max_tokens,
                stop=call.stop,
            )
        )
        output = ModelOutput.from_content(reply.model, reply.text, _STOPS[reply.stop])
        used = reply.usage
        output.usage = ModelUsage(
            input_tokens=used.input_tokens,
            output_tokens=used.output_tokens,
            total_tokens=used.tokens,
            total_cost=used.cost,
        )
        return output

    def should_retry(self, ex: Exception) -> bool:
        """Never: the chat model has tried what is worth trying."""
        return False


def _model(chat: ChatModel, role: str | None = None) -> Model:
    return get_model(f"memp/{chat.name}", role=role, memoize=False)


class _Caller:
    """Makes an episode's calls in its sample, so that inspect-ai counts and shows them there."""

    def __init__(self, home: Home, chat: ChatModel) -> None:
        self._home, self._chat = home, chat
        self._models: dict[str, Model] = {}
        self._said: dict[int, tuple[Message, ChatMessage]] = {}

    async def make(self, call: _Call) -> None:
        """Make one call and hand its answer over."""
        model = self._models.setdefault(call.purpose, _model(self._chat, call.purpose))
        model.api.home, model.api.chat, model.api.call = self._home, self._chat, call
        config = GenerateConfig(
            temperature=call.temperature, max_tokens=call.max_tokens, stop_seqs=list(call.stop) or None
        )
        try:
            # One object a message, however often it is sent: inspect keeps a transcript's messages by their ids.
            await model.generate([self._once(message) for message in call.messages], config=config, cache=False)
        except Exception as error:  # noqa: BLE001 - it belongs to the episode, which knows what to make of it
            self._home.tell(_fail, call.answer, error)
        else:
            self._home.tell(_give, call.answer, call.reply)

    def _once(self, message: Message) -> ChatMessage:
        if id(message) not in self._said:
            self._said[id(message)] = (message, _message(message))  # held, so that the id stays its own
        return self._said[id(message)][1]


def _give(answer: "asyncio.Future[Reply]", reply: Reply) -> None:
    if not answer.done():
        answer.set_result(reply)


def _fail(answer: "asyncio.Future[Reply]", error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)


def _message(message: Message) -> ChatMessage:
    kinds = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}
    return kinds[message.role](content=message.content)


# -- the sample ------------------------------------------------------------------------------------


@solver(name="memp_episode")  # type: ignore[untyped-decorator]
def _playing(group: "Playing") -> Solver:
    async def solve(state: TaskState, generate: Generate) -> TaskState:
        inbox: asyncio.Queue[_Call | None] = asyncio.Queue()
        model = _Through(group.model, asyncio.get_running_loop(), inbox)
        number = int(state.sample_id)
        playing = asyncio.ensure_future(group.home.do(lambda: group.episode(number, model)))
        playing.add_done_callback(lambda _: inbox.put_nowait(None))
        caller = _Caller(group.home, group.model)
        try:
            while (call := await inbox.get()) is not None:
                await caller.make(call)
            episode, last = await playing
        finally:
            playing.cancel()
        failure = episode.failure
        if failure is not None and not (last and failure.boundary == "environment"):
            raise NotPlayed(f"{failure.boundary}: {failure.message}")
        _show(state, episode, group.episodes.benchmark)
        return state

    return solve


def _show(state: TaskState, episode: Episode, benchmark: Benchmark) -> None:
    """Leave in the log what the viewer shows and the scorer reads."""
    state.store.set(
        _EPISODE,
        {
            "counted": episode.counted,
            "success": episode.success,
            "reward": episode.reward,
            "steps": len(episode.steps),
            "verdict": episode.verdict or (episode.failure.message if episode.failure else ""),
            "last": episode.steps[-1].action if episode.steps else "",
            "recall": episode.recall_id,
            "usage": {purpose: used.model_dump() for purpose, used in episode.usage.items()},
            "attempt": episode.attempt,
        },
    )
    if episode.task:
        state.messages = _conversation(episode, benchmark)
        state.completed = True


def _conversation(episode: Episode, benchmark: Benchmark) -> list[ChatMessage]:
    rules = system_prompt(benchmark.instructions, benchmark.example, episode.recalled)
    messages: list[ChatMessage] = [
        ChatMessageSystem(content=rules),
        ChatMessageUser(content=f"Task: {episode.task}\n\nObservation: {episode.start}"),
    ]
    for step, reply in zip(episode.steps, episode.replies, strict=False):
        messages.append(ChatMessageAssistant(content=reply.text))
        messages.append(ChatMessageUser(content=f"Observation: {step.observation}"))
    return messages


@scorer(name="episode", metrics={"success": [mean(), stderr()], "reward": [mean()], "steps": [mean()]})  # type: ignore[untyped-decorator]
def _outcome() -> Scorer:
    async def score(state: TaskState, target: Target) -> Score | None:
        found = state.store.get(_EPISODE)
        if not found or not found["counted"]:
            return None  # says nothing about the agent
        return Score(
            value={"success": float(found["success"]), "reward": found["reward"], "steps": found["steps"]},
            answer=found["last"],
            explanation=found["verdict"],
            metadata={"usage": found["usage"], "recall": found["recall"]},
        )

    return score
