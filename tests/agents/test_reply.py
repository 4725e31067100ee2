import pytest

from memp_bench.agents.reply import parse_reply


@pytest.mark.parametrize(
    ("text", "thought", "action"),
    [
        ("Thought: it is near\nAction: go to desk 1", "it is near", "go to desk 1"),
        ("thought: a\naction: look", "a", "look"),
        ("**Thought:** a\n**Action:** `go to desk 1`", "a", "go to desk 1"),
        ("**Thought**: a\n**Action**: go to desk 1.", "a", "go to desk 1"),
        ("- Thought: a\n- Action: look", "a", "look"),
        ("## Action: look", "", "look"),
        ("Action: look", "", "look"),
        ("I think so.\nAction: look", "I think so.", "look"),
        ("Thought: a\nb\n\nAction: look\nObservation: made up\nAction: go", "a\nb", "look"),
        ("Thought: a\nAction: first\nAction: second", "a", "first"),
        ("Thought: a\nAction:\nlook\nmore", "a", "look"),
        ("Thought: a\nAction:\n```\nlook\n```", "a", "look"),
        ("Thought 1: a\nAction 1: look", "a", "look"),
        ('Thought: a\nAction: "look"', "a", "look"),
        ("Thought: a", "a", None),
        ("Thought: a\nAction:", "a", None),
        ("Thought: a\nObservation: x\nAction: look", "a", None),
        ("", "", None),
        ("My action is to look", "My action is to look", None),
    ],
)
def test_reads_thought_and_first_action(text, thought, action):
    assert parse_reply(text) == (thought, action)
