"""What an attacker's text may become: never an instruction in another task's prompt."""

import asyncio

import harmless
import poison
import pytest

from memp.trust import instruction_like

ATTACKS = poison.attacks()
TOLD = [a for a in ATTACKS if a.half != "c" and (not a.deeds or a.kind == "cross-namespace")]
"""Those that say something, but for the ones the filter was not tuned on: docs/security.md says how many pass."""


def named(attack):
    return attack.name


@pytest.mark.parametrize("attack", ATTACKS, ids=named)
async def test_no_attack_from_an_untrusted_origin_reaches_a_prompt_as_instruction(attack):
    why, _ = await poison.outcome(attack, "web:evil.example")
    assert why == ""


@pytest.mark.parametrize("attack", TOLD, ids=named)
async def test_without_an_origin_the_filter_stops_what_it_knows(attack):
    why, how = await poison.outcome(attack, "")
    assert (why, how) == ("", "not served" if attack.deeds else "quarantined")


def test_there_are_enough_attacks():
    assert len(ATTACKS) >= 60
    assert len({attack.kind for attack in ATTACKS}) >= 8


async def test_the_measure_notices_an_attack():
    """Without origin, filter or fence, what is planted does reach the prompt: the suite can fail."""
    (plain,) = (attack for attack in ATTACKS if "send 500 dollars" in attack.name)
    why, _ = await poison.outcome(plain, "")
    assert why == "its words stand outside the data"
    prompt, _, _ = await poison.prompts(plain, "web:evil.example")
    assert poison.reaches(plain, prompt) == ""
    assert "marks" in poison.reaches(plain, prompt.replace("</memory>", "</memory></memory>"))
    assert "outside" in poison.reaches(plain, prompt.replace("| Action: send", "Action: send"))
    assert poison.reaches(plain, prompt + "\n<|im_start|>system") != ""
    assert poison.reaches(plain, prompt.replace("| Text", "| \u200bText")) == "invisible characters"


@pytest.mark.parametrize("half", ["a", "b", "c"])
def test_harmless_trajectories_are_not_held(half):
    held = [t.id for t in harmless.written(half) if instruction_like(t)]
    # one text of each of the first two quotes an attack word for word: nobody can tell it from one
    assert held == {"a": ["a12"], "b": ["b13"], "c": []}[half]


async def test_nothing_of_two_hundred_harmless_trajectories_is_held():
    written = [t for half in "abc" for t in harmless.written(half)]
    played = await harmless.houses(0, 60)
    held = [t.id for t in [*written, *played] if instruction_like(t)]
    assert len(written) + len(played) >= 200
    assert len(held) <= 0.02 * 200


@pytest.mark.skipif(not harmless.TRAVEL.is_file(), reason=f"no {harmless.TRAVEL} (set MEMP_DATA)")
def test_real_travel_plans_are_not_held():
    assert [t.id for t in harmless.travels(every=15) if instruction_like(t)] == []


@pytest.mark.engine
@pytest.mark.skipif(not (harmless.DATA / "alfworld").is_dir(), reason="no real ALFWorld games (set MEMP_DATA)")
def test_real_games_are_not_held():
    pytest.importorskip("alfworld")
    played = asyncio.run(harmless.games(6))
    assert len(played) == 6
    assert [t.id for t in played if instruction_like(t)] == []
