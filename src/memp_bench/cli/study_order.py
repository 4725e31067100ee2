"""What `memp study` is asked for: the options, and the study, size and folder that they mean."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from memp_bench.cli.options import (
    asking_options,
    base_url_option,
    cache_option,
    cap_options,
    memory_option,
    pool_option,
    price_option,
    together,
    workers_option,
)

if TYPE_CHECKING:
    from memp_bench.studies.manifest import Manifest
    from memp_bench.studies.spec import Limits, Size, Study

_OVERRIDES = ("agent", "builder", "teacher", "embedder", "base_url", "builder_base_url", "price", "runner")

identity_options = together(
    click.option("--smoke", is_flag=True, help="The small size: offline, on simulated backbones, within two minutes."),
    click.option("--agent", help="Play with this model instead of the study's backbones (openai:NAME, sim:able ...)."),
    click.option("--builder", help="Have this model write memories; default: the agent, rules when that is simulated."),
    click.option("--teacher", help="Have this model play training tasks where memories are learned from played ones."),
    click.option("--embedder", help="Embed with this: static, or openai:NAME."),
    base_url_option,
    click.option("--builder-base-url", help="Another server for builder and teacher, or `provider`."),
    price_option,
    click.option("--runner", type=click.Choice(["local", "inspect"]), help="Who runs episodes; default: the study's."),
)

run_options = together(
    memory_option,
    click.option(
        "--only", default="", help="Only cells whose label (place / backbone / arm / seed) holds this; recall: places."
    ),
    workers_option,
    pool_option,
    cap_options,
    click.option("--max-hours", type=click.FloatRange(0, min_open=True), help="Stop after so many hours."),
    click.option("--data", type=click.Path(path_type=Path), help="The benchmarks' data; default: MEMP_DATA."),
    cache_option,
    asking_options,
    click.option(
        "--accept-change",
        is_flag=True,
        help="Go on though the study, code, data or packages changed since the folder was begun; the report says so.",
    ),
)

out_option = click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the study; default: runs/study-NAME, or -smoke."
)


class Order(NamedTuple):
    """A study, the size of it, and where."""

    study: "Study"
    size: "Size"
    smoke: bool
    file: str
    """As the manifest names it."""
    overrides: dict[str, str]
    out: Path
    memory: str | None
    """The database that memories are in, with its password if one was given; None: files in `out`."""
    options: dict[str, Any]


def order_of(name: str, options: dict[str, Any]) -> Order:
    """What the command line asks for."""
    given = {key: options.pop(key) for key in _OVERRIDES}
    price = given.pop("price")
    overrides = {key: str(value) for key, value in given.items() if value is not None}
    if price:
        overrides["price"] = f"{price[0]:g} {price[1]:g}"
    return _made(name, bool(options.pop("smoke")), overrides, options)


def _made(name: str, smoke: bool, overrides: dict[str, str], options: dict[str, Any]) -> Order:
    from memp_bench.studies import catalog
    from memp_bench.studies.overrides import overridden

    loaded = catalog.load(name)
    size = overridden(loaded.smoke if smoke else loaded.full, overrides)
    out = options.pop("out") or Path("runs") / f"study-{loaded.name}{'-smoke' if smoke else ''}"
    file = name if name in catalog.names() else str(Path(name).resolve())
    return Order(loaded, size, smoke, file, overrides, out, options.pop("memory", None), options)


def there_in(name: str, options: dict[str, Any]) -> Order:
    """The study that was begun: by its folder, or by its name."""
    from memp_bench.studies.manifest import FILE

    smoke, folder = bool(options.pop("smoke")), Path(name)
    if not (folder / FILE).is_file():
        folder = options["out"] or Path("runs") / f"study-{folder.stem}{'-smoke' if smoke else ''}"
    options["out"] = folder
    begun = begun_in(folder)
    if options.get("memory") is None and begun.memories is not None:
        options["memory"] = begun.memories.address
    return _made(begun.file, begun.smoke, dict(begun.overrides), options)


def begun_in(folder: Path) -> "Manifest":
    """What was begun in the folder.

    Raises:
        MempError: nothing was, or the file that says so is damaged.
    """
    from memp.errors import MempError
    from memp_bench.studies.manifest import Manifest

    begun = Manifest.read(folder)
    if begun is None:
        raise MempError(f"no study was begun in {folder}; begin one with `memp study run NAME`, or give its folder")
    return begun


def limits_of(order: Order) -> "Limits":
    """The study's caps, or those of the command line where it gives one."""
    from memp_bench.studies.spec import Limits

    named = {"cost": "max_cost", "tokens": "max_total_tokens", "calls": "max_calls", "hours": "max_hours"}
    given = {key: order.options[option] for key, option in named.items() if order.options[option] is not None}
    return Limits.parse(order.size.limits.model_dump() | given)


def price_of(order: Order) -> tuple[float, float] | None:
    """US dollars per million tokens, in and out, if the command line gave them."""
    parts = [float(part) for part in order.overrides.get("price", "").split()]
    return (parts[0], parts[1]) if parts else None
