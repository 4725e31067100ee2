"""The TextWorld engine as it is played: the player, and the layer that makes it fast.

Nothing here may run in the main process of a study: the engine rewrites process globals (`sys.argv`,
`sys.stdout`, the planner's options) and leaks a few megabytes a game. `memp_bench.envs.pool` runs it in workers.
"""
