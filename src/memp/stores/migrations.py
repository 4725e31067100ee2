"""The schema of the embedded store, as numbered migrations. Append only: never edit one that shipped."""

from typing import Final

APPLICATION_ID: Final = 0x6D656D70
"""`memp` in the file header: tells our files from other SQLite files."""

_INITIAL = (
    """CREATE TABLE trajectories (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        namespace TEXT NOT NULL, id TEXT NOT NULL,
        body BLOB NOT NULL,            -- zlib of the record's JSON
        reward REAL NOT NULL,
        recall_id TEXT,                -- the recall it was played with
        consumed_by TEXT,              -- receipt of the update that took it; NULL while it waits
        recorded_at TEXT NOT NULL,
        UNIQUE (namespace, id))""",
    "CREATE INDEX trajectories_waiting ON trajectories (namespace, seq) WHERE consumed_by IS NULL",
    """CREATE TABLE procedures (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        namespace TEXT NOT NULL, id TEXT NOT NULL,
        created_at TEXT NOT NULL,
        success INTEGER NOT NULL,      -- built from a success
        head INTEGER NOT NULL,         -- number of the current revision
        changed INTEGER NOT NULL,      -- seq of the current revision: what an index has to catch up with
        status TEXT NOT NULL,
        task TEXT NOT NULL,
        task_key BLOB NOT NULL,        -- names the task's vector
        facts TEXT NOT NULL,
        origin BLOB NOT NULL,          -- names the task and actions it was built from
        UNIQUE (namespace, id))""",
    "CREATE INDEX procedures_changed ON procedures (namespace, changed)",
    "CREATE INDEX procedures_origin ON procedures (namespace, origin)",
    """CREATE TABLE revisions (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        namespace TEXT NOT NULL, procedure_id TEXT NOT NULL, number INTEGER NOT NULL,
        body TEXT NOT NULL,            -- the record's JSON
        served INTEGER NOT NULL DEFAULT 0,
        succeeded INTEGER NOT NULL DEFAULT 0,
        UNIQUE (namespace, procedure_id, number))""",
    """CREATE TABLE recalls (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        namespace TEXT NOT NULL, id TEXT NOT NULL,
        body TEXT NOT NULL,
        UNIQUE (namespace, id))""",
    """CREATE TABLE outcomes (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        namespace TEXT NOT NULL, recall_id TEXT NOT NULL, trajectory_id TEXT NOT NULL,
        body TEXT NOT NULL,
        UNIQUE (namespace, trajectory_id))""",
    """CREATE TABLE receipts (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        namespace TEXT NOT NULL, id TEXT NOT NULL,
        body TEXT NOT NULL,
        UNIQUE (namespace, id))""",
    """CREATE TABLE drafts (           -- model replies of an update that has not finished
        namespace TEXT NOT NULL, key TEXT NOT NULL, text TEXT NOT NULL,
        PRIMARY KEY (namespace, key)) WITHOUT ROWID""",
    """CREATE TABLE vectors (          -- a cache: can be deleted and is then rebuilt
        fingerprint TEXT NOT NULL, key BLOB NOT NULL, vector BLOB NOT NULL,
        PRIMARY KEY (fingerprint, key)) WITHOUT ROWID""",
    "CREATE VIRTUAL TABLE procedures_text USING fts5 (task, script, tokenize = 'porter unicode61')",
    # What was recorded cannot be rewritten, not even by a bug of ours.
    """CREATE TRIGGER trajectories_fixed BEFORE UPDATE OF seq, namespace, id, body, reward, recall_id, recorded_at
       ON trajectories
       BEGIN SELECT RAISE(ABORT, 'trajectories never change'); END""",
    """CREATE TRIGGER trajectories_kept BEFORE DELETE ON trajectories
       BEGIN SELECT RAISE(ABORT, 'trajectories are never lost'); END""",
    """CREATE TRIGGER revisions_fixed BEFORE UPDATE OF seq, namespace, procedure_id, number, body ON revisions
       BEGIN SELECT RAISE(ABORT, 'revisions never change'); END""",
    """CREATE TRIGGER revisions_kept BEFORE DELETE ON revisions
       BEGIN SELECT RAISE(ABORT, 'revisions are never lost'); END""",
    """CREATE TRIGGER outcomes_fixed BEFORE UPDATE ON outcomes
       BEGIN SELECT RAISE(ABORT, 'outcomes never change'); END""",
    """CREATE TRIGGER outcomes_kept BEFORE DELETE ON outcomes
       BEGIN SELECT RAISE(ABORT, 'outcomes are never lost'); END""",
)

_ERASING = (
    # What is erased on request leaves no trace but this: views of the file (indexes) start afresh when it grows.
    """CREATE TABLE erasures (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL,
        cleaned INTEGER NOT NULL DEFAULT 0)  -- the freed pages were overwritten and the search found nothing""",
    # What the triggers look for: written and taken away in the transaction that erases or compacts, never between.
    "CREATE TABLE permits (operation TEXT PRIMARY KEY) WITHOUT ROWID",
    "DROP TRIGGER trajectories_fixed",
    "DROP TRIGGER trajectories_kept",
    "DROP TRIGGER revisions_kept",
    "DROP TRIGGER outcomes_fixed",
    "DROP TRIGGER outcomes_kept",
    """CREATE TRIGGER trajectories_fixed BEFORE UPDATE OF seq, namespace, id, reward, recorded_at ON trajectories
       BEGIN SELECT RAISE(ABORT, 'trajectories never change'); END""",
    """CREATE TRIGGER trajectories_body_fixed BEFORE UPDATE OF body ON trajectories
       WHEN NOT EXISTS (SELECT 1 FROM permits WHERE operation = 'compact')
       BEGIN SELECT RAISE(ABORT, 'trajectories never change'); END""",
    """CREATE TRIGGER trajectories_recall_fixed BEFORE UPDATE OF recall_id ON trajectories
       WHEN NOT EXISTS (SELECT 1 FROM permits WHERE operation = 'erase')
       BEGIN SELECT RAISE(ABORT, 'trajectories never change'); END""",
    """CREATE TRIGGER trajectories_kept BEFORE DELETE ON trajectories
       WHEN NOT EXISTS (SELECT 1 FROM permits WHERE operation = 'erase')
       BEGIN SELECT RAISE(ABORT, 'trajectories are never lost'); END""",
    """CREATE TRIGGER revisions_kept BEFORE DELETE ON revisions
       WHEN NOT EXISTS (SELECT 1 FROM permits WHERE operation = 'erase')
       BEGIN SELECT RAISE(ABORT, 'revisions are never lost'); END""",
    """CREATE TRIGGER outcomes_fixed BEFORE UPDATE ON outcomes
       WHEN NOT EXISTS (SELECT 1 FROM permits WHERE operation = 'erase')
       BEGIN SELECT RAISE(ABORT, 'outcomes never change'); END""",
    """CREATE TRIGGER outcomes_kept BEFORE DELETE ON outcomes
       WHEN NOT EXISTS (SELECT 1 FROM permits WHERE operation = 'erase')
       BEGIN SELECT RAISE(ABORT, 'outcomes are never lost'); END""",
)

_COMPACTING = (
    """CREATE TABLE dictionaries (     -- what compacted trajectories have in common; zlib names one by its Adler-32
        id INTEGER NOT NULL, namespace TEXT NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (id, namespace)) WITHOUT ROWID""",
)

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (_INITIAL, _ERASING, _COMPACTING)
"""Statements of migration 1, 2, ...; a file's `user_version` says how many it has seen."""
