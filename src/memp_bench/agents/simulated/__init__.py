"""Simulated backbones: instruments that play by reading, so that everything runs without a key.

They see only the messages of `complete()`, know no house, and are never shown as a model's score.
"""

from memp_bench.agents.simulated.model import SIMULATED, Builder, Simulated, simulated

__all__ = ["SIMULATED", "Builder", "Simulated", "simulated"]
