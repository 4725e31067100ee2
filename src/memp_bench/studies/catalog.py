"""Studies by name: the shipped ones, and files of a user's own. A file is TOML in the shape of `spec.Study`."""

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from memp.errors import MempError, MissingExtra, MissingKey, ModelError, UnknownName
from memp.records import Record
from memp_bench.studies.spec import Arm, Backbone, Learned, Limits, PaperFigure, Place, Size, Study

SHIPPED: Final = Path(__file__).parent / "shipped"

_KINDS: Final[Mapping[str, type[Record]]] = {
    "full": Size,
    "smoke": Size,
    "places": Place,
    "backbones": Backbone,
    "arms": Arm,
    "learned": Learned,
    "limits": Limits,
    "paper_figures": PaperFigure,
}
"""Key of a file -> what stands under it."""


def names() -> tuple[str, ...]:
    """The shipped studies, in alphabetical order."""
    return tuple(sorted(file.stem for file in SHIPPED.glob("*.toml")))


def file_of(name_or_file: str) -> Path:
    """Where the study is: a shipped one by its name, or a file ending in `.toml`.

    Raises:
        UnknownName: neither; names the nearest shipped ones.
    """
    given = Path(name_or_file)
    if given.suffix == ".toml":
        if given.is_file():
            return given
        raise MempError(f"there is no study file {given}; `memp study list` shows those that are shipped")
    if name_or_file in names():
        return SHIPPED / f"{name_or_file}.toml"
    raise UnknownName("study (a shipped name, or a file ending in .toml)", name_or_file, names())


def load(name_or_file: str) -> Study:
    """The study of that name or in that file, with everything it names checked.

    Raises:
        UnknownName: there is no such study.
        MempError: the file cannot be read, is no TOML, or holds an unknown key, policy, backbone, embedder,
            benchmark, split or wording; says which file and where in it, and names the nearest.
    """
    file = file_of(name_or_file)
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MempError(f"{file} cannot be read as TOML: {error}") from None
    try:
        study = Study.model_validate(data)
    except ValidationError as error:
        problems = [*_benchmarks(data), *(_problem(data, item) for item in error.errors())]
        raise MempError(f"{file}: {'; '.join(problems)}") from None
    for size, what in (("full", study.full), ("smoke", study.smoke)):
        for where, ask in _names_in(what):
            try:
                ask()
            except (MissingKey, MissingExtra):
                continue  # it exists; whether it can be asked is known when it is run
            except (MempError, ValueError) as error:
                raise MempError(f"{file}: {size}.{where}: {error}") from None
    return study


# -- keys and values -----------------------------------------------------------------------------------


def _problem(data: Mapping[str, Any], error: ErrorDetails) -> str:
    """What is wrong, where in the file."""
    place = _place(data, error["loc"])
    if error["type"] != "extra_forbidden":
        message = error["msg"].removeprefix("Value error, ")
        return f"{place}: {message}" if place else message
    kind = next(
        (_KINDS[part] for part in reversed(error["loc"][:-1]) if isinstance(part, str) and part in _KINDS), Study
    )
    known = sorted(kind.model_fields)
    close = get_close_matches(str(error["loc"][-1]), known, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(known)}"
    return f"{place}: unknown key; {hint}"


def _benchmarks(data: Mapping[str, Any]) -> Iterator[str]:
    """Benchmarks that there are not: other complaints follow from them."""
    for size in ("full", "smoke"):
        places = data[size].get("places") if isinstance(data.get(size), dict) else None
        for n, place in enumerate(places if isinstance(places, list) else ()):
            name = place.get("benchmark") if isinstance(place, dict) else None
            try:
                splits(name or "household")
            except UnknownName as error:
                yield f"{_place(data, (size, 'places', n))}.benchmark: {error}"


def _place(data: Any, location: Sequence[str | int]) -> str:
    """`full.arms[2] (script).retrieve`: the way through the file, with labels where there are any."""
    text = ""
    for part in location:
        if isinstance(part, int):
            data = data[part] if isinstance(data, list) and part < len(data) else None
            label = data.get("label") if isinstance(data, dict) else None
            text += f"[{part}]" + (f" ({label})" if label else "")
        else:
            data = data.get(part) if isinstance(data, dict) else None
            text += f".{part}" if text else part
    return text


# -- names that must exist -----------------------------------------------------------------------------


def _names_in(size: Size) -> Iterator[tuple[str, Callable[[], object]]]:
    """Every name in `size`: where it stands, and what raises when there is no such thing."""
    for n, place in enumerate(size.places):
        yield f"places[{n}] ({place.label})", partial(_check_place, place)
        if place.retrieve is not None:
            yield f"places[{n}] ({place.label}).retrieve", partial(_check_policy, "retrieve", place.retrieve)
    for n, backbone in enumerate(size.backbones):
        where = f"backbones[{n}] ({backbone.label})"
        for field in ("agent", "builder", "teacher"):
            name = getattr(backbone, field)
            yield f"{where}.{field}", partial(_check_model, name, backbone.address_of(name or backbone.agent))
        yield f"{where}.embedder", partial(_check_embedder, backbone.embedder)
    for n, arm in enumerate(size.arms):
        for field in ("build", "retrieve", "update"):
            yield f"arms[{n}] ({arm.label}).{field}", partial(_check_policy, field, getattr(arm, field))
    for name, learned in size.learned.items():
        yield f"learned.{name}", partial(_check_learned, name, learned)
    yield from (("policies", partial(_check_scored, name)) for name in size.policies)
    yield from (("embedders", partial(_check_embedder, name)) for name in size.embedders)
    yield from (("wordings", partial(_check_wording, name)) for name in size.wordings)


def splits(benchmark: str) -> Sequence[str]:
    """Names of a benchmark's splits, aliases included; needs none of its data.

    Raises:
        UnknownName: no such benchmark.
    """
    if benchmark == "alfworld":
        from memp_bench.envs.alfworld import ALIASES
        from memp_bench.envs.alfworld_data import SPLITS as ALFWORLD

        return (*ALFWORLD, *ALIASES)
    if benchmark == "household":
        from memp_bench.envs.household.goals import SPLITS as HOUSEHOLD

        return tuple(HOUSEHOLD)
    if benchmark == "travelplanner":
        from memp_bench.envs.travelplanner.tasks import SPLITS as TRAVELPLANNER

        return tuple(TRAVELPLANNER)
    from memp_bench.benchmarks import NAMES

    raise UnknownName("benchmark", benchmark, NAMES)


def _check_split(benchmark: str, split: str) -> None:
    if split not in splits(benchmark):
        raise UnknownName(f"split of {benchmark}", split, splits(benchmark))


def _check_place(place: Place) -> None:
    from memp_bench.cli.parts import benchmark_options

    _check_split(place.benchmark, place.split)
    benchmark_options(place.benchmark, mode=place.mode, strategy=place.strategy)
    if place.generated and place.benchmark != "travelplanner":
        raise MempError("generated is for travelplanner; household is always generated, alfworld never")
    _check_wording(place.wording or "plain")


def _check_learned(benchmark: str, learned: Learned) -> None:
    _check_split(benchmark, learned.split)
    if learned.source == "gold" and benchmark != "travelplanner":
        raise MempError(f"source gold is for travelplanner, which has annotators' plans; {benchmark} has an expert")
    if benchmark == "travelplanner" and learned.split != "train":
        raise MempError("the authors of TravelPlanner allow nobody to learn from a split other than train")


def _check_wording(name: str) -> None:
    if name != "plain":
        from memp_bench.envs.wording import WORDINGS

        if name not in WORDINGS:
            raise UnknownName("wording", name, ["plain", *WORDINGS])


def _check_model(name: str | None, base_url: str | None) -> None:
    from memp_bench.agents.registry import backbone

    if name is not None and name != "rules":
        try:
            backbone(name, base_url=base_url)
        except ModelError as error:
            raise MempError(str(error)) from None


def _check_embedder(name: str) -> None:
    from memp.models.registry import embedder

    embedder(name)


def _check_scored(name: str) -> None:
    from memp_bench.studies.lexical import policy_to_score

    policy_to_score(name)


def _check_policy(field: str, name: str) -> None:
    from memp_bench.cli.parts import check_names
    from memp_bench.studies.config import RunConfig

    check_names(RunConfig.parse({"benchmark": "household", "split": "seen", field: name}))
