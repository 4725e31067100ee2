"""The agent pi_mp(a | s): one ReAct loop (thought, action, observation) for every environment."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from memp import __version__
from memp.errors import BudgetExceeded, EnvironmentFailed, MempError, ModelError, UnusableReply
from memp.models.base import ChatModel, Message, Reply, Role
from memp.recall import Recall
from memp.records import Step, Usage, now
from memp_bench.agents.episode import (
    Episode,
    EpisodeEnd,
    EpisodeFile,
    EpisodeStart,
    EpisodeStatus,
    Failure,
    ended,
    episode_from,
)
from memp_bench.agents.reply import parse_reply
from memp_bench.envs.base import Environment, Observation, Opening, ReadsReplies, Remembers, Task

OnStep = Callable[[int, Step], None]
"""Called after each step with its number (from 1) and the step."""

RecallFor = Callable[[str], Awaitable[Recall | None]]
"""Asks a memory for a task, once the task is known in words."""

Said = TypeVar("Said", Reply, Observation)

NO_ACTION = (
    "Your reply had no line 'Action: ...'. Reply with one line 'Thought: ...' and one line 'Action: ...', "
    "with one of the commands you were given. This used up a turn."
)


MAX_SHOWN = 50_000
"""Longest observation or reply that is kept, in characters; the rest is cut, and the agent is told."""


def system_prompt(instructions: str, example: str = "", recalled: str = "") -> str:
    """The system message: the rules, then the example and the recalled procedures, each in marks of its own."""
    parts = [instructions.strip()]
    if example.strip():
        parts.append(f"An example of another task:\n\n<example>\n{example.strip()}\n</example>")
    if recalled.strip():
        parts.append(f"<memory>\n{recalled.strip()}\n</memory>")
    return "\n\n".join(parts)


async def play(
    env: Environment,
    task: Task,
    model: ChatModel,
    *,
    instructions: str,
    example: str = "",
    recall: RecallFor | None = None,
    recalled: str = "",
    max_steps: int = 30,
    temperature: float | None = 1.0,
    max_tokens: int | None = None,
    seed: int | None = None,
    config: Mapping[str, Any] | None = None,
    file: EpisodeFile | None = None,
    on_step: OnStep | None = None,
    clock: Callable[[], datetime] = now,
) -> Episode:
    """Play `task` in `env` and return what happened; `file` is written after every step.

    `recall` is asked once, with the task in words; `recalled` is text that stands fixed. `seed` and `config` are only
    recorded. The environment is not closed. A provider or environment that breaks
    gives an episode of status `failed` that names the boundary, never a failed task.

    Raises:
        StoreError: `file` cannot be written.
        BudgetExceeded: a cap was reached; the episode so far is in `file`, status `stopped`.
        asyncio.CancelledError: likewise.
    """
    settings = {"max_steps": max_steps, "temperature": temperature, "max_tokens": max_tokens, "seed": seed}
    start = EpisodeStart(
        task_id=task.id,
        family=task.family,
        model=model.name,
        simulated=model.simulated,
        recalled=recalled,
        config=settings | dict(config or {}),
        memp_version=__version__,
        started_at=clock(),
    )
    run = _Run(env, model, start, [], file, on_step, clock)
    try:
        return run.finish(
            await run.play(
                task,
                recall=recall,
                instructions=instructions,
                example=example,
                max_steps=max_steps,
                temperature=temperature,
                max_tokens=max_tokens,
            )
        )
    except BudgetExceeded as error:
        run.finish(run.end("stopped", reason=str(error)))
        raise
    except asyncio.CancelledError:
        run.finish(run.end("stopped", reason="cancelled"))
        raise
    finally:
        if file is not None:
            file.close()


class _BrokenError(Exception):
    """Carries a failure from the call that broke to the end of the episode."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.message)


@dataclass
class _Run:
    """The state of one episode while it is played."""

    env: Environment
    model: ChatModel
    start: EpisodeStart
    messages: list[Message]
    file: EpisodeFile | None
    on_step: OnStep | None
    clock: Callable[[], datetime]
    steps: list[Step] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    seen: Observation = field(default_factory=lambda: Observation(text=""))
    """The last observation: reward, verdict, product and counts of the episode so far."""
    used: dict[str, Usage] = field(default_factory=dict)
    """What the environment's own models consumed, by purpose."""
    begun: bool = False
    read: Callable[[str], tuple[str, str | None]] = field(init=False)
    """Finds the thought and the action in a reply."""

    def __post_init__(self) -> None:
        self.read = self.env.read if isinstance(self.env, ReadsReplies) else parse_reply

    async def play(
        self,
        task: Task,
        *,
        recall: RecallFor | None,
        instructions: str,
        example: str,
        max_steps: int,
        temperature: float | None,
        max_tokens: int | None,
    ) -> EpisodeEnd:
        try:
            opening = await self._open(task)
            if recall is not None:
                await self._remember(recall)
            self._say("system", system_prompt(instructions, example, self.start.recalled))
            if isinstance(self.env, Remembers):
                self.env.remember(self.start.recalled)
            given = f"{opening.given}\n\n" if opening.given else ""
            self._say("user", f"Task: {self.start.task}\n\n{given}Observation: {self.start.start}")
            self.begin()
            done = self.seen.done
            while not done and len(self.steps) < max_steps:
                reply = await self._ask(temperature, max_tokens)
                done = await self._do(reply)
        except _BrokenError as broken:
            return self.end("failed", failure=broken.failure)
        return self.end("done", success=self.seen.reward >= 1.0)

    async def _open(self, task: Task) -> Opening:
        try:
            opening = await self.env.reset(task)
        except Exception as error:  # the episode boundary: whatever broke, it is the environment
            raise _BrokenError(_environment(error)) from error
        first = _readable(opening.observation)
        self.start = self.start.model_copy(update={"task": opening.task, "start": first.text})
        self.seen = first
        return opening

    async def _remember(self, recall: RecallFor) -> None:
        try:
            found = await recall(self.start.task)
            text = "" if found is None else found.render()
        except BudgetExceeded:
            raise
        except MempError as error:
            raise _BrokenError(_memory(error)) from error
        id = None if found is None else found.id
        self.start = self.start.model_copy(update={"recall_id": id, "recalled": text})

    async def _ask(self, temperature: float | None, max_tokens: int | None) -> Reply:
        try:
            reply = await self.model.complete(
                tuple(self.messages), purpose="act", temperature=temperature, max_tokens=max_tokens
            )
        except BudgetExceeded:
            raise
        except Exception as error:  # the episode boundary: whatever broke, it is the provider
            raise _BrokenError(_provider(error)) from error
        return _readable(reply)

    async def _do(self, reply: Reply) -> bool:
        self.replies.append(reply)
        self._say("assistant", reply.text)
        thought, action = self.read(reply.text)
        if action is None:
            seen = self.seen.model_copy(update={"text": NO_ACTION, "invalid": True, "masked": None, "usage": {}})
            step = Step(action="", thought=thought or reply.text, observation=NO_ACTION, error="agent")
        else:
            try:
                seen = await self.env.step(action)
            except BudgetExceeded:  # environments may ask models of their own
                raise
            except Exception as error:
                failure = _provider(error) if isinstance(error, ModelError) else _environment(error)
                self._keep(Step(action=action, thought=thought, error=failure.boundary), reply)
                raise _BrokenError(failure) from error
            seen = _readable(seen)
            step = Step(
                action=action,
                thought=thought,
                observation=seen.text,
                reward=seen.reward,
                error="agent" if seen.invalid else None,
            )
        self._see(seen)
        self._keep(step, reply)
        return seen.done

    def _see(self, seen: Observation) -> None:
        self.seen = seen
        for purpose, usage in seen.usage.items():
            self.used[purpose] = self.used.get(purpose, Usage()) + usage
        hidden, shown = seen.masked or ("", "")
        if hidden:
            self.messages[2:] = [  # the rules and the task stay as they are
                message.model_copy(update={"content": message.content.replace(hidden, shown)})
                for message in self.messages[2:]
            ]
        self._say("user", f"Observation: {seen.text}")

    def _keep(self, step: Step, reply: Reply) -> None:
        self.steps.append(step)
        if self.file is not None:
            self.file.add(step, reply)
        if self.on_step is not None:
            self.on_step(len(self.steps), step)

    def _say(self, role: Role, content: str) -> None:
        self.messages.append(Message(role=role, content=content))

    def begin(self) -> None:
        """Write the header, once."""
        if self.file is not None and not self.begun:
            self.file.begin(self.start)
        self.begun = True

    def end(self, status: EpisodeStatus, **more: Any) -> EpisodeEnd:
        """The end of the episode as it stands."""
        seen = self.seen
        more |= {"verdict": seen.verdict, "product": seen.product, "counts": seen.counts}
        return ended(status, seen.reward, self.replies, self.clock(), usage=self.used, **more)

    def finish(self, end: EpisodeEnd) -> Episode:
        """Write the end and put the episode together."""
        self.begin()
        if self.file is not None:
            self.file.end(end)
        return episode_from(self.start, end, self.steps, self.replies)


def _readable(said: Said) -> Said:
    """What was said in valid Unicode of bounded length: what is shown is what is stored."""
    text = said.text
    if len(text) > MAX_SHOWN:
        text = f"{text[:MAX_SHOWN]}\n[cut: {len(text):,} characters in all]"
    elif text.isascii():
        return said  # nearly always: nothing to copy
    return said.model_copy(update={"text": text.encode("utf-8", "replace").decode()})


def _provider(error: Exception) -> Failure:
    retryable = error.retryable if isinstance(error, ModelError) else False
    return Failure(boundary="provider", kind=type(error).__name__, message=str(error), retryable=retryable)


def _memory(error: MempError) -> Failure:
    # An unusable reply (facts of the task) may be usable the next time.
    retryable = not isinstance(error, ModelError) or error.retryable or isinstance(error, UnusableReply)
    return Failure(boundary="memory", kind=type(error).__name__, message=str(error), retryable=retryable)


def _environment(error: Exception) -> Failure:
    # EnvironmentFailed is raised for a crash or a stall; anything else is a defect that would come again.
    retryable = isinstance(error, EnvironmentFailed)
    return Failure(boundary="environment", kind=type(error).__name__, message=str(error), retryable=retryable)
