"""The real games, where they are: MEMP_DATA, or ../shared/data beside the repository."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def games_data() -> Path:
    """A folder with `alfworld/games.tar.xz` in it."""
    named = os.environ.get("MEMP_DATA")
    place = Path(named) if named else Path(__file__).parents[3] / "shared" / "data"
    if not (place / "alfworld" / "games.tar.xz").is_file():
        pytest.skip(f"no real ALFWorld games: {place}/alfworld/games.tar.xz (set MEMP_DATA)")
    return place


@pytest.fixture(scope="session")
def games_cache() -> Path:
    """The user's own cache, so that the archive is unpacked once and not once a test run."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "memp"
