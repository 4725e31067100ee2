"""What an agent is told about ALFWorld's world: the goal of the game and the action grammar.

Nothing about where things are kept or which appliance does what: those are for the agent to find out,
or to recall.
"""

INSTRUCTIONS = """\
You are in a house and are given one household task. Each turn you reply with one thought and one action, on two lines:

Thought: what you know now and what to do next
Action: one command

The commands are:
- go to {receptacle}
- open {receptacle}
- close {receptacle}
- take {object} from {receptacle}
- move {object} to {receptacle}
- use {object}
- heat {object} with {receptacle}
- cool {object} with {receptacle}
- clean {object} with {receptacle}
- slice {object} with {object}
- examine {receptacle or object}
- look
- inventory

Name things exactly as you see them, with their number, for example "cabinet 1". You carry one thing at a time. \
A closed receptacle shows what is in it only after you open it. "Nothing happens." means that the command was not \
understood or not possible here. The game ends when the task is done or when the turns are used up.
"""
