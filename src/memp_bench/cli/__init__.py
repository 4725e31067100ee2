"""The command `memp`: the library's commands and the laboratory's, each imported when it is called."""

import click

from memp.cli.lazy import LazyGroup

COMMANDS = {
    "demo": ("memp_bench.cli.demo:demo", "See an agent play, remember, correct itself and get better (two minutes)."),
    "learn": ("memp_bench.cli.learn:learn", "Build a memory from expert trajectories."),
    "run": ("memp_bench.cli.run:run", "Play an evaluation stream, with memory or without."),
    "study": ("memp_bench.cli.study:study", "The paper's experiments by name: list, show, run, resume, report."),
    "score": ("memp_bench.cli.score:score", "Judge a file of TravelPlanner plans."),
    "memory": ("memp.cli.memory:memory", "Look at a memory, and change it with a reason."),
    "why": ("memp.cli.why:why", "Explain a recall: what was considered, served, left out, withheld."),
    "evidence": ("memp.cli.evidence:evidence", "Show whether the memory helps: lift, with intervals."),
    "stats": ("memp.cli.memory:stats", "Count what a memory holds, and what waits for a person."),
    "doctor": ("memp_bench.cli.doctor:doctor", "Check this installation and a memory file."),
}


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        import memp

        click.echo(f"memp {memp.__version__}")
        ctx.exit()


@click.group(cls=LazyGroup, commands_at=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show the version.")
def main() -> None:
    """Procedural memory for LLM agents: build, retrieve and update procedures (Mem^p)."""
