"""The demo's page: one game without and with memory side by side, self-contained."""

import base64
from importlib.resources import files
from pathlib import Path

from memp.errors import MissingExtra
from memp.render import clean
from memp_bench.agents.episode import Episode
from memp_bench.studies.demo import Demo


def write_demo_page(file: Path, demo: Demo, picture: Path, pair: tuple[Episode, Episode] | None) -> None:
    """Write the page. All text from agents and memory is escaped.

    Raises:
        MissingExtra: Jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        raise MissingExtra("report", "writing a page") from error
    source = (files("memp_bench.studies") / "templates" / "demo.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["clean"] = clean
    environment.filters["percent"] = lambda share: f"{100 * share:.1f}"
    image = base64.b64encode(picture.read_bytes()).decode()
    text = environment.from_string(source).render(demo=demo, image=image, pair=pair)
    file.write_text(text, encoding="utf-8")
