"""Options of the command line that take the place of what a study's file says about backbones."""

from collections.abc import Mapping

from memp_bench.studies.spec import Backbone, Size

_WHO = ("agent", "builder", "teacher", "embedder", "base_url", "builder_base_url")


def overridden(size: Size, overrides: Mapping[str, str]) -> Size:
    """`size` with other models. With `agent`, whoever the file says builds or teaches does so no more: the agent does,
    or `builder` and `teacher`. Backbones that become the same are one.
    """
    changes: dict[str, object] = {}
    if "runner" in overrides:
        changes["runner"] = overrides["runner"]
    if overrides.keys() & set(_WHO):
        once: dict[tuple[str | None, ...], Backbone] = {}
        for backbone in size.backbones:
            made = _other(backbone, overrides)
            once.setdefault(tuple(getattr(made, key) for key in _WHO), made)
        found = list(once.values())
        if "agent" in overrides and len(found) == 1:
            found = [found[0].model_copy(update={"label": overrides["agent"]})]
        changes["backbones"] = tuple(found)
    if "embedder" in overrides:
        changes["embedders"] = (overrides["embedder"],)
    return size.model_copy(update=changes)


def _other(backbone: Backbone, overrides: Mapping[str, str]) -> Backbone:
    given: dict[str, str | None] = {key: overrides[key] for key in _WHO if key in overrides}
    if "agent" in overrides:
        given = {"builder": None, "teacher": None, "base_url": None, "builder_base_url": None, **given}
    return backbone.model_copy(update=given)
