"""What a study's folder holds: the study, and digests of the code and the data it was begun with.

A study is resumed only as what it was: when the study, the code, the data or a package changed, the difference is shown
and the folder left alone.
"""

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Self

from memp.errors import MempError, RecordError
from memp.records import Record
from memp_bench.studies.homes import Kept
from memp_bench.studies.spec import Size, Study

FILE: Final = "study.json"
PACKAGES: Final = (
    "memp",
    "numpy",
    "pydantic",
    "textworld",
    "fast-downward-textworld",
    "alfworld",
    "inspect-ai",
    "openai",
    "anthropic",
)
"""Packages that may have a part in the result."""

_SOURCES: Final = (".py", ".md", ".toml")
_ONLY_SHOWN: Final = ("title", "question", "paper", "paper_figures")
"""What of a study changes no result: tables and pages show it as it is now."""
_LISTED = 12


class Changed(MempError):
    """The folder holds a study that was begun with something else."""


class Manifest(Record):
    """The file `study.json`."""

    name: str
    smoke: bool
    file: str
    """A shipped study's name, or the path of a user's file."""
    overrides: Mapping[str, str] = {}
    """Options that took the place of what the file says (agent, builder, base_url ...)."""
    resolved: Mapping[str, Any]
    """The study and the size that is run, without limits: those may be raised."""
    code: Mapping[str, str]
    """File -> digest."""
    commit: str
    data: Mapping[str, str]
    versions: Mapping[str, str]
    memories: Kept | None = None
    """The database that memories are in; None: they are files in the folder."""
    accepted: tuple[str, ...] = ()
    """Differences that a resume was told to accept."""

    @classmethod
    def of(
        cls,
        study: Study,
        size: Size,
        *,
        smoke: bool,
        file: str,
        overrides: Mapping[str, str],
        data: Mapping[str, str],
        memories: Kept | None = None,
    ) -> Self:
        """What holds now."""
        resolved = study.model_dump(mode="json", exclude={"full", "smoke", *_ONLY_SHOWN})
        resolved["size"] = size.model_dump(mode="json", exclude={"limits"})
        return cls(
            name=study.name,
            smoke=smoke,
            file=file,
            overrides=overrides,
            resolved=resolved,
            code=code_digests(),
            commit=commit(),
            data=data,
            versions=versions(),
            memories=memories,
        )

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The manifest of a folder; None where there is none.

        Raises:
            MempError: it is damaged.
        """
        file = folder / FILE
        if not file.exists():
            return None
        try:
            return cls.parse(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecordError) as error:
            raise MempError(f"{file} is damaged ({error}); choose another --out or remove the folder") from None

    def write(self, folder: Path) -> None:
        """Write it into `folder`, whole or not at all."""
        part = folder / f"{FILE}.part"
        part.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        part.replace(folder / FILE)

    def claim(self, folder: Path, *, accept: bool = False) -> "Manifest":
        """Make `folder` this study's, or check that it is; `accept` goes on with what changed, and writes it down.

        Raises:
            Changed: the folder is another study's, or study, data, code or packages changed; shows what.
            MempError: the folder holds something else, or cannot be written.
        """
        there = before = self.read(folder)
        if there is None:
            _empty(folder)
            self.write(folder)
            return self
        if (there.name, there.smoke) != (self.name, self.smoke):
            raise Changed(
                f"{folder} holds the study {_called(there)}, not {_called(self)}; choose another --out or remove it"
            )
        there = _here(there, folder)
        if differs := differences(there, self):
            return self._accepted(there, folder, differs, accept=accept)
        known = there.model_copy(update={"data": {**self.data, **there.data}})
        if known != before:  # data that was not there when other cells were run, or the folder was moved
            known.write(folder)
        return known

    def _accepted(self, there: "Manifest", folder: Path, differs: Sequence[str], *, accept: bool) -> "Manifest":
        if not accept:
            shown = "\n  ".join(differs)
            raise Changed(
                f"{folder} was begun with something else:\n  {shown}\nStart again with another --out, put it back as "
                "it was, or give --accept-change to go on all the same (the report will say so)"
            )
        memories = self.memories
        if memories and there.memories:  # moved to another database, by `memp memory copy`
            memories = memories.model_copy(update={"name": there.memories.name})
        accepted = self.model_copy(update={"accepted": (*there.accepted, *differs), "memories": memories})
        accepted.write(folder)
        return accepted


def differences(was: Manifest, now: Manifest) -> list[str]:
    """What changed that may change a result, one line each: key, was, is; and which files of the code."""
    lines = []
    both = sorted(
        was.data.keys() & now.data.keys()
    )  # the study says which there are; where no cell is run some may lack
    for part, before, after in (
        ("study", {"file": was.resolved}, {"file": now.resolved}),
        ("data", {name: was.data[name] for name in both}, {name: now.data[name] for name in both}),
        ("package", was.versions, now.versions),
    ):
        old, new = dict(_flat(before)), dict(_flat(after))
        for key in [*old, *(key for key in new if key not in old)]:
            if old.get(key) != new.get(key):
                name = key.removeprefix("file.")
                lines.append(f"{part} {name}: was {_shown(old, key)}, is {_shown(new, key)}")
    kept = [manifest.memories.address if manifest.memories else "files in the folder" for manifest in (was, now)]
    if kept[0] != kept[1]:
        lines.append(f"memories: were {kept[0]}, are {kept[1]} (--memory)")
    changed = [
        f"code {file}: {'is new' if file not in was.code else 'is gone' if file not in now.code else 'changed'}"
        for file in sorted(was.code.keys() | now.code.keys())
        if was.code.get(file) != now.code.get(file)
    ]
    rest = len(changed) - _LISTED
    return [*lines, *changed[:_LISTED], *([f"code: and {rest} more files"] if rest > 0 else [])]


def _here(there: Manifest, folder: Path) -> Manifest:
    """The manifest of a folder that may have been moved.

    Raises:
        Changed: it was copied: two folders would write to the same memories of a database.
    """
    if there.memories is None:
        return there
    begun, here = Path(there.memories.folder), folder.resolve()
    original = Manifest.read(begun) if begun != here else None
    if original and original.memories and original.memories.name == there.memories.name:
        raise Changed(
            f"{folder} is a copy of {begun}, and both would use the memories {there.memories.name} in "
            f"{there.memories.address}; go on in {begun}, or begin anew with another --out"
        )
    return there.model_copy(update={"memories": there.memories.model_copy(update={"folder": str(here)})})


def _shown(values: Mapping[str, Any], key: str) -> str:
    return repr(values[key]) if key in values else "not there"


def _flat(value: Any, key: str = "") -> Iterable[tuple[str, Any]]:
    """The leaves of nested mappings and lists; members of a list go by their labels where they have them."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _flat(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        for n, item in enumerate(value):
            label = item.get("label", n) if isinstance(item, Mapping) else n
            yield from _flat(item, f"{key}[{label}]")
    else:
        yield key, list(value) if isinstance(value, tuple) else value


def _called(manifest: Manifest) -> str:
    return f"{manifest.name} ({'smoke' if manifest.smoke else 'full'} size)"


def _empty(folder: Path) -> None:
    """Make the folder; one that holds something else is left alone."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        strangers = sorted(item.name for item in folder.iterdir() if item.name not in ("lock", f"{FILE}.part"))
    except OSError as error:
        raise MempError(f"{folder} cannot be the study's folder ({error.strerror}); choose another --out") from None
    if strangers:
        raise MempError(
            f"{folder} holds something else than a study ({', '.join(strangers[:3])}); choose another --out"
        )


# -- digests -------------------------------------------------------------------------------------------


@cache
def code_digests() -> Mapping[str, str]:
    """Digest of every source file of memp and its laboratory. The shipped studies are not code: they are compared
    one by one."""
    root = Path(__file__).parents[2]
    files = (file for part in ("memp", "memp_bench") for file in (root / part).rglob("*"))
    return {
        file.relative_to(root).as_posix(): digest([file.read_bytes()])
        for file in sorted(files)
        if file.suffix in _SOURCES and file.parent.name != "shipped"
    }


def digest(parts: Iterable[bytes]) -> str:
    """Names a sequence of bytes."""
    made = hashlib.sha256()
    for part in parts:
        made.update(len(part).to_bytes(8, "big"))
        made.update(part)
    return made.hexdigest()[:16]


def commit() -> str:
    """The git commit of the code, with `+` when files differ from it; empty outside a checkout."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=here, capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()

    try:
        if git("ls-files", Path(__file__).name) == "":
            return ""  # installed below somebody else's repository
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "--", "../..") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def versions() -> Mapping[str, str]:
    """Of Python and of the packages that may have a part in the result; those not installed are left out."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> str:
    """In a few words, for pages."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
