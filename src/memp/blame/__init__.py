"""Blame: when a served procedure meets a failure, was it the procedure, the agent, the choice, or the world?"""

from memp.blame.base import Blame, Blamer, Verdict
from memp.blame.model import ModelBlamer
from memp.blame.rules import RuleBlamer, judge

__all__ = ["Blame", "Blamer", "ModelBlamer", "RuleBlamer", "Verdict", "judge"]
