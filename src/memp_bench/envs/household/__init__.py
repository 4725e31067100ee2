"""`household`: generated games for the real TextWorld/PDDL engine, in ALFWorld's domain.

tables   kinds of things and rooms, and where things are usually kept
house    draws a layout and puts things into it
goals    six families, their sentences, and what each split may ask for
draft    a game drawn from (seed, split, index): pure
problem  a draft as PDDL, with the domain and grammar that the package `alfworld` ships
solve    a plan, by the engine's own planner
files    game files: layout, checksum
player   makes, proves and plays them, in a worker process
benchmark  `Household`: tasks and environments for a study
"""

from memp_bench.envs.household.benchmark import Household

__all__ = ["Household"]
