"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def together(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, in the order given."""

    def apply(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return apply


class PolicyOption(click.Option):
    """`--build`, `--retrieve` or `--update`: its help names the policies there are, looked up when it is shown."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """See `click.Option`."""
        from memp_bench import baselines

        self.help = ", ".join(baselines.names(str(self.name))) + "."
        return super().get_help_record(ctx)


benchmark_argument = click.argument("benchmark", metavar="alfworld|household|travelplanner")

workers_option = click.option(
    "--workers", type=click.IntRange(1), default=8, show_default=True, help="Episodes played at once."
)
cache_option = click.option("--cache", type=click.Path(path_type=Path), help="Folder for generated and unpacked games.")


def _address(context: click.Context, option: click.Parameter, given: str | None) -> str | None:
    from memp.stores.connect import is_url

    if given is not None and not is_url(given):
        raise click.BadParameter("give postgresql://user@host/database; without it memories are files in --out")
    return given


memory_option = click.option(
    "--memory",
    callback=_address,
    help="Keep memories in this database (postgresql://user@host/database) instead of files in --out.",
)
base_url_option = click.option("--base-url", help="An OpenAI-compatible server (vLLM, Ollama, OpenRouter ...).")
price_option = click.option(
    "--price", type=float, nargs=2, help="US dollars per million tokens, in and out, for unlisted models."
)
asking_options = together(
    click.option(
        "--timeout",
        type=click.FloatRange(0, min_open=True),
        default=60.0,
        show_default=True,
        help="Seconds without an answer after which a request is made again.",
    ),
    click.option("--concurrency", type=click.IntRange(1), default=8, show_default=True, help="Model requests at once."),
)
cap_options = together(
    click.option("--max-calls", type=click.IntRange(1), help="Stop before more model calls than this are made."),
    click.option("--max-total-tokens", type=click.IntRange(1), help="Stop once so many tokens are used."),
    click.option("--max-cost", type=click.FloatRange(0, min_open=True), help="Stop once so many US dollars are spent."),
)

game_options = together(
    click.option(
        "--split",
        help="alfworld: train, valid_seen (dev), valid_unseen (test); household: train, seen, unseen; "
        "travelplanner: train, validation.",
    ),
    click.option(
        "--games", type=click.IntRange(1), help="A seeded sample of so many games; default: all of the split."
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="Of the sample and of simulated backbones."),
    click.option(
        "--data",
        type=click.Path(path_type=Path),
        help="ALFWorld's games (a folder or the packed archive), or TravelPlanner's tables.",
    ),
    click.option(
        "--engine",
        type=click.Choice(["fast", "stock"]),
        default="fast",
        show_default=True,
        help="stock is TextWorld as shipped: the same games, much slower.",
    ),
    workers_option,
    cache_option,
)

travel_options = together(
    click.option("--mode", help="travelplanner: two-stage (tools, then a planner; the default) or sole-planning."),
    click.option("--strategy", help="travelplanner, sole-planning: direct (the default), cot or react."),
)

pool_option = click.option(
    "--pool",
    default="processes",
    show_default=True,
    help="Where games are played: processes of this machine; ray, in a Ray cluster that is started for it; ray://auto "
    "or ray://HOST:PORT, in one that runs. Changes no result; TravelPlanner needs no pool and asks none.",
)

policy_options = together(
    click.option("--build", cls=PolicyOption, default="proceduralization", show_default=True),
    click.option("--retrieve", cls=PolicyOption, default="query", show_default=True),
    click.option("--update", cls=PolicyOption, default="adjustment", show_default=True),
)

model_options = together(
    base_url_option,
    click.option(
        "--builder",
        help="Who writes scripts, facts and corrections: rules, or a model. Default: the agent's model; "
        "rules when that is simulated.",
    ),
    click.option("--embedder", default="static", show_default=True, help="static, or openai:NAME."),
    asking_options,
    price_option,
    cap_options,
)
