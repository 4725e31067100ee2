"""Other words for the tasks of the benchmarks, as data.

judge       other words and other sentence shapes; for judging, never to build a retrieve policy on
phrasing    other sentence shapes, the same nouns
synonyms    other words, the same sentence shapes

household   sentences of the household games (`household`, `alfworld`), and back
travel      queries of `travelplanner`
"""

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

from memp.errors import UnknownName

WORDINGS = ("judge", "phrasing", "synonyms")
"""Names of the lists."""


@lru_cache(maxsize=len(WORDINGS))
def load(wording: str) -> Mapping[str, Any]:
    """The list of that name, as it stands in its file.

    Raises:
        UnknownName: there is none.
    """
    if wording not in WORDINGS:
        raise UnknownName("wording", wording, WORDINGS)
    return tomllib.loads((files(__name__) / f"{wording}.toml").read_text(encoding="utf-8"))
