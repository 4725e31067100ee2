"""The fast engine against the stock one: every output must be the same.

MEMP_ENGINE_GAMES=140 compares that many real games instead of three (stock needs ~4 s a game).
"""

import json
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memp.errors import EnvironmentFailed, MissingExtra, UnknownName
from memp_bench.envs.alfworld import AlfWorld
from memp_bench.envs.base import Observation
from memp_bench.envs.engine.player import Engine, GamePlayer, clean, read_game, split_intro
from memp_bench.envs.household.player import HouseholdPlayer

pytest.importorskip("textworld")
pytest.importorskip("alfworld")
pytestmark = pytest.mark.engine

NONSENSE = ("xyzzy", "", "take nothing from nowhere 1", "  look ", "GO TO cabinet 1")


@pytest.fixture(scope="session")
def games(games_data: Path, games_cache: Path) -> list[str]:
    bench = AlfWorld(games_data, cache=games_cache)
    number = os.environ.get("MEMP_ENGINE_GAMES")
    if number:
        return [task.payload["game"] for task in bench.tasks("valid_seen", games=int(number))]
    kinds = {"put": "Toilet", "heat": "Mug", "examine": "CD"}  # three kinds of room
    found = [
        [task.payload["game"] for task in bench.tasks("valid_seen") if task.family == kind and word in task.id]
        for kind, word in kinds.items()
    ]
    return [min(paths, key=lambda path: Path(path).stat().st_size) for paths in found]


@pytest.fixture(scope="session")
def bathroom(games_data: Path, games_cache: Path) -> str:
    """A small game: reset in a quarter of a second, planned in a tenth."""
    tasks = AlfWorld(games_data, cache=games_cache).tasks("valid_seen")
    return next(task.payload["game"] for task in tasks if "ToiletPaperHanger-406" in task.id)


def episode(player: GamePlayer, game: str, length: int = 8) -> Iterator[tuple[str, Observation]]:
    source = random.Random(game)
    task, seen = player.load(game)
    yield task, seen
    for planned in [*[None] * length, *NONSENSE, *read_game(game)["walkthrough"]]:
        action = planned if planned is not None else source.choice(seen.admissible or ("look",))
        seen = player.step(action)
        yield action, seen


def test_every_output_is_the_same_on_both_engines(games: list[str], tmp_path: Path) -> None:
    fast, stock = GamePlayer("fast", tmp_path), GamePlayer("stock")
    wins = invalid = 0
    for game in games:
        rounds = list(episode(stock, game))
        assert list(episode(fast, game)) == rounds
        assert list(episode(GamePlayer("fast", tmp_path), game)) == rounds, "from the cache on disk"
        wins += rounds[-1][1].reward == 1.0 and rounds[-1][1].done
        invalid += sum(seen.invalid for _, seen in rounds)
    assert wins >= 1
    assert invalid >= 3 * len(games)


def test_a_generated_game_is_the_same_on_both_engines(tmp_path: Path) -> None:
    """Runs where there are no real games too."""
    game = HouseholdPlayer(str(tmp_path / "games"), seed=3).ensure("seen", 2)
    stock, fast = GamePlayer("stock"), GamePlayer("fast", tmp_path)
    assert list(episode(fast, game)) == list(episode(stock, game))
    straight = list(episode(stock, game, length=0))
    assert list(episode(fast, game, length=0)) == straight
    assert straight[-1][1].done


def test_games_in_one_process_do_not_disturb_each_other(games: list[str], tmp_path: Path) -> None:
    alone = [list(episode(GamePlayer("fast", tmp_path), game)) for game in games[:2]]
    together: list[list[Any]] = [[], []]
    pair = [episode(GamePlayer("fast", tmp_path), game) for game in games[:2]]
    while any(len(rounds) < len(full) for rounds, full in zip(together, alone, strict=True)):
        for rounds, play in zip(together, pair, strict=True):
            rounds.extend(seen for seen in [next(play, None)] if seen)
    assert together == alone


def test_a_replan_in_mid_game_is_the_same_on_both_engines(bathroom: str, tmp_path: Path) -> None:
    plans = []
    for engine in ("fast", "stock"):
        player = GamePlayer(engine, tmp_path)
        start = episode(player, bathroom, length=8)
        rounds = [next(start) for _ in range(9)]  # the opening and eight random actions
        assert not rounds[-1][1].done
        env = player._env.unwrapped
        plans.append(env._pddl_state.replan(env._entity_infos))
        assert player.step("look").text, "the game goes on after a replan"
    assert plans[0] == plans[1]
    assert plans[0]


def test_stock_leaves_the_library_alone(bathroom: str) -> None:
    from textworld.envs.pddl import logic, pddl, textgen

    before = {name: dict(vars(module)) for name, module in (("l", logic), ("p", pddl), ("t", textgen))}
    fast, stock = GamePlayer("fast"), GamePlayer("stock")
    fast.load(bathroom)
    assert type(stock._env.unwrapped) is pddl.PddlEnv
    after = {name: dict(vars(module)) for name, module in (("l", logic), ("p", pddl), ("t", textgen))}
    assert before == after
    assert textgen.ContextSensitiveGrammar.derive.__module__ == textgen.__name__


@pytest.mark.parametrize("damage", [b"", b"not zlib", None])
def test_a_damaged_cache_is_computed_again(bathroom: str, tmp_path: Path, damage: bytes | None) -> None:
    first = list(episode(GamePlayer("fast", tmp_path), bathroom, length=2))
    (cached,) = tmp_path.iterdir()
    whole = cached.read_bytes()
    cached.write_bytes(whole[:-20] if damage is None else damage)
    assert list(episode(GamePlayer("fast", tmp_path), bathroom, length=2)) == first
    assert cached.read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir()] == [cached.name]


def test_an_unusable_cache_folder_is_only_slower(bathroom: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    task, _ = GamePlayer("fast", tmp_path / "file" / "sas").load(bathroom)
    assert task


def test_the_cache_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from memp_bench.envs.engine import translation

    empty = translation.Translation("x" * 10, (), (), (), ())
    monkeypatch.setattr(translation, "translate", lambda domain, problem: empty)
    for number in range(101):
        os.utime(tmp_path, None)
        translator = translation.Translator(tmp_path, max_bytes=250)
        translator("domain", f"problem {number}")
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 250


def test_other_versions_play_on_stock(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    from textworld.envs.pddl.pddl import PddlEnv

    from memp_bench.envs.engine import fast

    monkeypatch.setitem(fast.VERIFIED, "textworld", "9.9.9")
    player = GamePlayer("fast")
    assert type(player._env.unwrapped) is PddlEnv
    assert "not verified with textworld 1.7.0 (verified: 9.9.9)" in caplog.text


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "textworld", None)
    with pytest.raises(MissingExtra, match=r"TextWorld engine .* needs the extra 'alfworld'"):
        GamePlayer("fast")


def test_unknown_engine() -> None:
    with pytest.raises(UnknownName, match="Did you mean fast"):
        GamePlayer("fats")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "code", ["{__import__('os').getcwd()}", "{r.__class__}", "[{o.name.upper() | holds(a:agent, o:object)}]"]
)
def test_a_grammar_cannot_run_code(bathroom: str, tmp_path: Path, code: str) -> None:
    game = read_game(bathroom)
    evil = game["grammar"].replace("You close the {r.name}.", code)
    assert evil != game["grammar"]
    path = tmp_path / "evil.tw-pddl"
    path.write_text(json.dumps({**game, "grammar": evil}))
    with pytest.raises(EnvironmentFailed, match="does more than join, choose and compare"):
        GamePlayer("fast").load(path)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "cannot be read"),
        ('{"pddl_domain": "x"}', "grammar, pddl_problem missing or empty"),
        ("[1]", "not a JSON object"),
        ('{"pddl_domain": "(x", "grammar": "y", "pddl_problem": "z"}', "is damaged"),
    ],
)
@pytest.mark.parametrize("engine", ["fast", "stock"])
def test_damaged_games_are_named(tmp_path: Path, engine: Engine, content: str, why: str) -> None:
    path = tmp_path / "game.tw-pddl"
    path.write_text(content)
    with pytest.raises(EnvironmentFailed, match=why) as failed:
        GamePlayer(engine).load(path)
    assert str(path) in str(failed.value)


def test_a_player_survives_a_damaged_game(bathroom: str, tmp_path: Path) -> None:
    player = GamePlayer("fast", tmp_path)
    first = list(episode(player, bathroom, length=2))
    bad = tmp_path / "bad.tw-pddl"
    bad.write_text(json.dumps({**read_game(bathroom), "pddl_problem": "(define (problem"}))
    with pytest.raises(EnvironmentFailed):
        player.load(bad)
    assert list(episode(player, bathroom, length=2)) == first


def test_texts_are_cleaned_as_the_literature_does() -> None:
    intro = "-= Welcome to TextWorld, ALFRED! =-\n\nYou see a bed 1.\n\nYour task is to: put a pen in bed."
    assert split_intro(intro) == ("put a pen in bed.", "You see a bed 1.")
    assert clean("You arrive at bed 1. On the bed 1, you see a pen 1.") == "On the bed 1, you see a pen 1."
    assert clean("You arrive at safe 1. The safe 1 is closed.") == "The safe 1 is closed."
    assert clean("You open the safe 1. The safe 1 is open.") == "You open the safe 1. The safe 1 is open."
    assert clean("You arrive at loc 3.") == "You arrive at loc 3."
