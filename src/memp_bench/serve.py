"""Simulated backbones behind a real wire format, with faults: a rehearsal for runs with real models.

    python -m memp_bench.serve --model sim:novice --fault-rate 0.1
    memp run household --model openai:simulated-novice --base-url http://127.0.0.1:PORT/v1

The models are called `simulated-...`, and whatever is measured with them is labelled simulated.
"""

import json
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click

from memp.cli.output import reports_errors
from memp.models.base import ChatModel
from memp.testing.faults import Faults
from memp.testing.wire import WireServer
from memp_bench.agents.registry import SIMULATED_PREFIX, backbone

TRANSPORT = ("429", "500", "drop", "stall", "bad_body")
REPLY = ("empty", "truncated", "malformed_json", "refusal")

_rate = click.FloatRange(0, 1)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--model", "names", multiple=True, default=["sim:novice"], show_default=True, help="What to serve; may be repeated."
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0, the default, finds a free one.")
@click.option("--key", "keys", multiple=True, help="An API key to accept; default: any.")
@click.option(
    "--fault-rate",
    type=_rate,
    default=0.0,
    show_default=True,
    help="Share of requests with a fault on the way: 429, 500, dropped connection, stall, body cut off.",
)
@click.option(
    "--reply-fault-rate",
    type=_rate,
    default=0.0,
    show_default=True,
    help="Share of replies that are empty, cut off, of malformed JSON, or refusals. These cost the agent a turn.",
)
@click.option("--in-a-row", type=click.IntRange(1), default=2, show_default=True, help="Most faults of one request.")
@click.option("--retry-after", type=float, default=0.05, show_default=True, help="Seconds, said with a 429 and a 500.")
@click.option("--stall", type=float, default=2.0, show_default=True, help="Seconds of a stall.")
@click.option("--delay", type=float, default=0.0, show_default=True, help="Seconds before every answer.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the faults.")
@reports_errors
def serve(
    names: Sequence[str], port: int, keys: Sequence[str], fault_rate: float, reply_fault_rate: float, **options: Any
) -> None:
    """Serve simulated backbones in the wire formats of OpenAI and Anthropic, on 127.0.0.1.

    Prints the address at once and, when it is stopped with Ctrl-C or SIGTERM, what it served, one JSON object a line.
    """
    faults = Faults(
        **{f"rate_{kind}": fault_rate / len(TRANSPORT) for kind in TRANSPORT},
        **{f"rate_{kind}": reply_fault_rate / len(REPLY) for kind in REPLY},
        retry_after=options["retry_after"],
        stall_s=options["stall"],
        in_a_row=options["in_a_row"],
        seed=options["seed"],
    )
    models = {served_name(name): _simulated(name) for name in names}
    server = WireServer(models, keys=keys or None, faults=faults, delay=options["delay"], port=port)
    with _until_stopped() as stopped:
        try:
            server.start()
        except OSError as error:
            raise click.ClickException(f"cannot serve on port {port}: {error.strerror or error}") from None
        click.echo(json.dumps({"url": server.url, "anthropic_url": server.root, "models": list(models)}))
        stopped.wait()
        server.stop()
    click.echo(json.dumps(report(server)))


def served_name(name: str) -> str:
    """What a simulated backbone is called on the wire: `sim:novice` is `simulated-novice`."""
    return SIMULATED_PREFIX + name.removeprefix("sim:")


def report(server: WireServer) -> dict[str, Any]:
    """What a server did: requests, faults by kind, and the usage of the replies that reached a client, by model."""
    return {
        "requests": len(server.exchanges),
        "faults": dict(sorted(Counter(seen.fault for seen in server.exchanges if seen.fault).items())),
        "statuses": dict(sorted(Counter(str(seen.status) for seen in server.exchanges).items())),
        "served": {model: usage.model_dump(mode="json") for model, usage in server.served.items()},
        "peak": server.peak,
    }


def _simulated(name: str) -> ChatModel:
    if not name.startswith("sim:"):
        raise click.BadParameter(f"{name!r} is no simulated backbone; they are written sim:NAME", param_hint="--model")
    return backbone(name)


@contextmanager
def _until_stopped() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set."""
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    before = [(number, signal.signal(number, stop)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield stopped
    finally:
        for number, handler in before:
            signal.signal(number, handler)


if __name__ == "__main__":
    serve()
