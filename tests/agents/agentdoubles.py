"""Doubles for the loop's tests: a scripted model and an environment with faults."""

from memp.models.base import Reply
from memp.records import Usage
from memp_bench.envs.base import Observation, Opening


class Scripted:
    """Answers with the given texts in turn; an exception among them is raised."""

    name = "test:scripted"
    simulated = False

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def complete(self, messages, *, purpose="act", temperature=None, max_tokens=None, stop=()):
        self.asked.append((list(messages), purpose, temperature))
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        raw = {"id": len(self.asked), "text": answer}
        return Reply(text=answer, usage=Usage(calls=1, input_tokens=10, output_tokens=2), model="m", raw=raw)

    async def close(self):
        pass


class Counter:
    """Done when told to count up to `goal`; any word but "count" is invalid; faults by step number."""

    def __init__(self, goal=3, faults=None, reset_fault=None):
        self.goal, self.faults, self.reset_fault = goal, faults or {}, reset_fault

    async def reset(self, task):
        if self.reset_fault:
            raise self.reset_fault
        self.n = self.steps = 0
        return Opening(task=f"count to {self.goal}", observation=Observation(text="You are at 0."))

    async def step(self, action):
        self.steps += 1
        if self.steps in self.faults:
            raise self.faults[self.steps]
        if action != "count":
            return Observation(text="Nothing happens.", invalid=True, reward=self.n / self.goal)
        self.n += 1
        return Observation(text=f"You are at {self.n}.", reward=self.n / self.goal, done=self.n == self.goal)

    async def close(self):
        pass
