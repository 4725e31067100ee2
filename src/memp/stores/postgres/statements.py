"""Every statement of the PostgreSQL store. Each names its namespace, and joins within it only (a test sees to it)."""

from typing import Final

BEGIN: Final = "BEGIN"
COMMIT: Final = "COMMIT"
ROLLBACK: Final = "ROLLBACK"
FROZEN: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
READING: Final = """
    SELECT set_config('memp.namespace', %(ns)s, true), set_config('statement_timeout', %(statement)s, true)"""
"""Of this transaction only: a pooler may give the next one to another connection."""
WRITING: Final = f"""{READING}, set_config('lock_timeout', %(lock)s, true),
           set_config('synchronous_commit', %(sync)s, true)"""
LISTING: Final = "SELECT set_config('memp.listing', 'on', true)"
FORGETTING: Final = "SELECT set_config('memp.forgetting', 'on', true)"
ENTER: Final = "SELECT set_config('memp.namespace', %(ns)s, true)"
SYNC: Final = "SELECT pg_logical_emit_message(true, 'memp', '')"
"""A transaction of its own whose commit waits for the disk, and so for all that were committed before it."""
SHARDED: Final = "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')"
PASSED_ON: Final = "SET LOCAL citus.propagate_set_commands = 'local'"

TICK: Final = """
    INSERT INTO memp.namespaces AS n (namespace, clock, changed)
    VALUES (%(ns)s, (extract(epoch FROM now()) * 1000000)::bigint + %(n)s, 0)
    ON CONFLICT (namespace) DO UPDATE
    SET clock = greatest(n.clock + %(n)s, excluded.clock), holds = true
    RETURNING clock, erased_at"""
"""Takes `n` numbers and holds the namespace until the end of the transaction. Numbers follow the clock, so that none
that a crash took back, and somebody saw, comes again. (Citus wants no now() after DO UPDATE.)"""
MARK: Final = "INSERT INTO memp.commits (namespace, number) VALUES (%(ns)s, %(number)s)"
"""Says that the transaction which took this number was committed, should its answer be lost."""
MARKED: Final = "SELECT number FROM memp.commits WHERE namespace = %(ns)s AND number = %(number)s"
DROP_MARKS: Final = "DELETE FROM memp.commits WHERE namespace = %(ns)s AND number < %(number)s"
CHANGED: Final = "UPDATE memp.namespaces SET changed = %(changed)s WHERE namespace = %(ns)s"
NAMED: Final = """
    INSERT INTO memp.namespaces (namespace, clock, changed) VALUES (%(ns)s, 0, 0) ON CONFLICT DO NOTHING"""
HOLDS: Final = "UPDATE memp.namespaces SET holds = %(holds)s WHERE namespace = %(ns)s AND holds != %(holds)s"
VERSION: Final = "SELECT changed FROM memp.namespaces WHERE namespace = %(ns)s"
ANY_VERSION: Final = "SELECT coalesce(sum(changed), 0)::text FROM memp.namespaces"
NAMESPACES: Final = "SELECT namespace FROM memp.namespaces WHERE holds"

# -- trajectories ----------------------------------------------------------------------------------

INSERT_TRAJECTORY: Final = """
    INSERT INTO memp.trajectories (namespace, id, seq, body, reward, recall_id, consumed_by, recorded_at)
    VALUES (%(ns)s, %(id)s, %(seq)s, %(body)b, %(reward)s, %(recall_id)s, %(consumed_by)s, %(at)s)"""
RECORD_TRAJECTORY: Final = """
    INSERT INTO memp.trajectories (namespace, id, body, reward, recall_id, recorded_at, seq)
    SELECT s.namespace, %(id)s, %(body)b, %(reward)s, %(recall_id)s, %(at)s,
           CASE WHEN s.erased = %(erased)s THEN s.clock - 1 END
    FROM memp.namespaces s WHERE s.namespace = %(ns)s"""
"""With the number that was just taken; none, and so an error, when something was erased since it was asked.
The namespace comes from a row beside it, here and below: so Citus sends the statement to the shard as it is."""
TRAJECTORY: Final = "SELECT body, recall_id FROM memp.trajectories WHERE namespace = %(ns)s AND id = %(id)s"
TRAJECTORIES: Final = """
    SELECT seq, body, recall_id, consumed_by, recorded_at FROM memp.trajectories
    WHERE namespace = %(ns)s AND seq > %(seq)s ORDER BY seq LIMIT %(n)s"""
TRAJECTORY_IDS: Final = "SELECT id FROM memp.trajectories WHERE namespace = %(ns)s"
WAITING: Final = """
    SELECT t.body, o.body FROM memp.trajectories t
    LEFT JOIN memp.outcomes o ON o.namespace = t.namespace AND o.trajectory_id = t.id
    WHERE t.namespace = %(ns)s AND t.consumed_by IS NULL ORDER BY t.seq"""
CONSUME: Final = """
    UPDATE memp.trajectories SET consumed_by = %(by)s
    WHERE namespace = %(ns)s AND id = %(id)s AND consumed_by IS NULL RETURNING 1"""
REQUEUE: Final = """
    UPDATE memp.trajectories SET consumed_by = NULL WHERE namespace = %(ns)s AND id = %(id)s RETURNING 1"""

# -- procedures ------------------------------------------------------------------------------------

_PROCEDURE: Final = """
    SELECT p.id, p.created_at, r.body, r.served, r.succeeded, p.success
    FROM memp.procedures p JOIN memp.revisions r ON r.namespace = p.namespace AND r.procedure_id = p.id"""
FIND: Final = f"{_PROCEDURE} AND r.number = p.head WHERE p.namespace = %(ns)s AND p.id = ANY(%(ids)s)"
AT: Final = f"""{_PROCEDURE} WHERE p.namespace = %(ns)s AND r.namespace = %(ns)s
    AND (r.procedure_id, r.number) IN (SELECT * FROM unnest(%(ids)s::text[], %(numbers)s::integer[]))"""
SEARCH: Final = f"""{_PROCEDURE} AND r.number = p.head
    JOIN memp.texts x ON x.namespace = p.namespace AND x.id = p.id
    WHERE x.namespace = %(ns)s AND x.words @@ to_tsquery('memp.words', %(query)s)
    ORDER BY ts_rank(x.words, to_tsquery('memp.words', %(query)s), 1) DESC, p.seq LIMIT %(n)s"""
HEADS: Final = """
    SELECT seq, id, changed, status, success, task, facts, task_key FROM memp.procedures
    WHERE namespace = %(ns)s AND changed > %(since)s ORDER BY seq"""
BUILT_FROM: Final = """
    SELECT id FROM memp.procedures WHERE namespace = %(ns)s AND origin = %(origin)s ORDER BY seq LIMIT 1"""
HISTORY: Final = """
    SELECT body, served, succeeded FROM memp.revisions
    WHERE namespace = %(ns)s AND procedure_id = %(id)s ORDER BY number"""
REVISION: Final = """
    SELECT r.body, p.success, p.origin FROM memp.revisions r LEFT JOIN memp.procedures p
    ON p.namespace = r.namespace AND p.id = r.procedure_id
    WHERE r.namespace = %(ns)s AND r.procedure_id = %(id)s AND r.number = %(number)s"""
REVISIONS: Final = """
    SELECT r.seq, r.body, r.served, r.succeeded, p.success, p.origin FROM memp.revisions r LEFT JOIN memp.procedures p
    ON r.number = 1 AND p.namespace = r.namespace AND p.id = r.procedure_id
    WHERE r.namespace = %(ns)s AND r.seq > %(seq)s ORDER BY r.seq LIMIT %(n)s"""
CURRENT: Final = "SELECT id, head FROM memp.procedures WHERE namespace = %(ns)s AND id = ANY(%(ids)s)"
ALL_CURRENT: Final = "SELECT id, head FROM memp.procedures WHERE namespace = %(ns)s"
TEXT_IDS: Final = "SELECT id FROM memp.texts WHERE namespace = %(ns)s"
INSERT_REVISIONS: Final = """
    INSERT INTO memp.revisions (namespace, procedure_id, number, seq, body)
    SELECT s.namespace, u.* FROM memp.namespaces s,
           unnest(%(ids)b::text[], %(numbers)b::integer[], %(changed)b::bigint[], %(bodies)b::text[]) AS u
    WHERE s.namespace = %(ns)s"""
"""Many rows a statement: COPY takes none where there is row-level security."""
_STATES: Final = """
    unnest(%(ids)b::text[], %(numbers)b::integer[], %(changed)b::bigint[], %(statuses)b::text[],
           %(tasks)b::text[], %(keys)b::bytea[], %(facts)b::text[]"""
INSERT_PROCEDURES: Final = f"""
    INSERT INTO memp.procedures (namespace, id, head, changed, status, task, task_key, facts, seq, created_at, success,
                                 origin)
    SELECT s.namespace, u.* FROM memp.namespaces s,{_STATES}, %(seqs)b::bigint[],
           %(created)b::text[], %(success)b::boolean[], %(origins)b::bytea[]) AS u WHERE s.namespace = %(ns)s"""
UPDATE_PROCEDURES: Final = f"""
    UPDATE memp.procedures p SET head = u.head, changed = u.changed, status = u.status, task = u.task,
    task_key = u.task_key, facts = u.facts FROM{_STATES}) AS u (id, head, changed, status, task, task_key, facts)
    WHERE p.namespace = %(ns)s AND p.id = u.id"""
SAVE_TEXTS: Final = """
    INSERT INTO memp.texts AS x (namespace, id, words)
    SELECT s.namespace, u.id, to_tsvector('memp.words', u.words)
    FROM memp.namespaces s, unnest(%(ids)b::text[], %(words)b::text[]) AS u (id, words) WHERE s.namespace = %(ns)s
    ON CONFLICT (namespace, id) DO UPDATE SET words = excluded.words"""

# -- log -------------------------------------------------------------------------------------------

INSERT_RECALL: Final = """
    INSERT INTO memp.recalls (namespace, id, body) VALUES (%(ns)s, %(id)s, %(body)s) ON CONFLICT DO NOTHING"""
RECALL: Final = "SELECT body FROM memp.recalls WHERE namespace = %(ns)s AND id = %(id)s"
RECALLS: Final = """
    SELECT seq, body FROM memp.recalls WHERE namespace = %(ns)s AND seq > %(seq)s ORDER BY seq LIMIT %(n)s"""
LAST_RECALLS: Final = "SELECT body FROM memp.recalls WHERE namespace = %(ns)s ORDER BY seq DESC LIMIT %(n)s"
RECALL_IDS: Final = "SELECT id FROM memp.recalls WHERE namespace = %(ns)s"
INSERT_OUTCOME: Final = """
    INSERT INTO memp.outcomes (namespace, trajectory_id, recall_id, seq, body)
    VALUES (%(ns)s, %(id)s, %(recall_id)s, %(seq)s, %(body)s)"""
RECORD_OUTCOME: Final = """
    INSERT INTO memp.outcomes (namespace, trajectory_id, recall_id, body, seq)
    SELECT s.namespace, %(id)s, %(recall_id)s, %(body)s,
           CASE WHEN %(credited)s = (SELECT count(*) FROM memp.revisions r WHERE r.namespace = %(ns)s AND
               (r.procedure_id, r.number) IN (SELECT * FROM unnest(%(ids)s::text[], %(numbers)s::integer[])))
           THEN s.clock END
    FROM memp.namespaces s WHERE s.namespace = %(ns)s"""
"""With the number that was just taken; none, and so an error, when something that it credits is not there."""
CREDITABLE: Final = """
    SELECT procedure_id, number FROM memp.revisions WHERE namespace = %(ns)s
    AND (procedure_id, number) IN (SELECT * FROM unnest(%(ids)s::text[], %(numbers)s::integer[]))"""
CREDIT: Final = """
    UPDATE memp.revisions r SET served = served + c.times, succeeded = succeeded + c.times * %(won)s
    FROM (SELECT id, number, count(*)::integer AS times
          FROM unnest(%(ids)s::text[], %(numbers)s::integer[]) AS u (id, number) GROUP BY id, number) AS c
    WHERE r.namespace = %(ns)s AND r.procedure_id = c.id AND r.number = c.number"""
OUTCOME: Final = "SELECT body FROM memp.outcomes WHERE namespace = %(ns)s AND trajectory_id = %(id)s"
OUTCOMES: Final = """
    SELECT seq, body FROM memp.outcomes WHERE namespace = %(ns)s AND seq > %(seq)s ORDER BY seq LIMIT %(n)s"""
LAST_OUTCOMES: Final = "SELECT body FROM memp.outcomes WHERE namespace = %(ns)s ORDER BY seq DESC LIMIT %(n)s"
OUTCOME_IDS: Final = "SELECT trajectory_id FROM memp.outcomes WHERE namespace = %(ns)s"
DROP_PARTS: Final = """
    DELETE FROM memp.receipts WHERE namespace = %(ns)s AND id > %(first)s AND id < %(last)s"""
RECEIPT_IDS: Final = "SELECT id FROM memp.receipts WHERE namespace = %(ns)s"
INSERT_RECEIPT: Final = """
    INSERT INTO memp.receipts (namespace, id, seq, body) VALUES (%(ns)s, %(id)s, %(seq)s, %(body)s)"""
RECEIPT: Final = "SELECT body FROM memp.receipts WHERE namespace = %(ns)s AND id = %(id)s"
RECEIPTS: Final = """
    SELECT seq, body FROM memp.receipts WHERE namespace = %(ns)s AND seq > %(seq)s ORDER BY seq LIMIT %(n)s"""
LAST_RECEIPTS: Final = "SELECT body FROM memp.receipts WHERE namespace = %(ns)s ORDER BY seq DESC LIMIT %(n)s"

# -- forgetting ------------------------------------------------------------------------------------

ERASURES: Final = "SELECT erased FROM memp.namespaces WHERE namespace = %(ns)s"
LAST_ERASURE: Final = "SELECT erased, erased_at FROM memp.namespaces WHERE namespace = %(ns)s"
ALL_ERASURES: Final = "SELECT coalesce(sum(erased), 0)::text FROM memp.namespaces"
ERASED: Final = """
    UPDATE memp.namespaces SET erased = erased + 1, erased_at = %(at)s, changed = %(changed)s
    WHERE namespace = %(ns)s"""
DATED: Final = """
    SELECT procedure_id, number, body FROM memp.revisions WHERE namespace = %(ns)s
    AND (procedure_id, number) IN (SELECT * FROM unnest(%(ids)s::text[], %(numbers)s::integer[]))"""
DROP_TRAJECTORY: Final = "DELETE FROM memp.trajectories WHERE namespace = %(ns)s AND id = %(id)s"
DROP_RECALL_OF_TRAJECTORY: Final = """
    UPDATE memp.trajectories SET recall_id = NULL WHERE namespace = %(ns)s AND id = %(id)s"""
DROP_REVISION: Final = """
    DELETE FROM memp.revisions WHERE namespace = %(ns)s AND procedure_id = %(id)s AND number = %(number)s"""
RECOUNT: Final = """
    UPDATE memp.revisions SET served = %(served)s, succeeded = %(succeeded)s
    WHERE namespace = %(ns)s AND procedure_id = %(id)s AND number = %(number)s"""
DROP_EMPTY_PROCEDURES: Final = """
    DELETE FROM memp.procedures p WHERE p.namespace = %(ns)s AND p.id = ANY(%(ids)s) AND NOT EXISTS
    (SELECT FROM memp.revisions r WHERE r.namespace = p.namespace AND r.procedure_id = p.id)"""
DROP_EMPTY_TEXTS: Final = """
    DELETE FROM memp.texts x WHERE x.namespace = %(ns)s AND x.id = ANY(%(ids)s) AND NOT EXISTS
    (SELECT FROM memp.procedures p WHERE p.namespace = x.namespace AND p.id = x.id)"""
DROP_RECALL: Final = "DELETE FROM memp.recalls WHERE namespace = %(ns)s AND id = %(id)s"
CHANGE_RECALL: Final = "UPDATE memp.recalls SET body = %(body)s WHERE namespace = %(ns)s AND id = %(id)s"
DROP_OUTCOME: Final = "DELETE FROM memp.outcomes WHERE namespace = %(ns)s AND trajectory_id = %(id)s"
CHANGE_OUTCOME: Final = """
    UPDATE memp.outcomes SET body = %(body)s WHERE namespace = %(ns)s AND trajectory_id = %(id)s"""
DROP_RECEIPT: Final = "DELETE FROM memp.receipts WHERE namespace = %(ns)s AND id = %(id)s"
CHANGE_RECEIPT: Final = "UPDATE memp.receipts SET body = %(body)s WHERE namespace = %(ns)s AND id = %(id)s"
DROP_ALL_DRAFTS: Final = "DELETE FROM memp.drafts WHERE namespace = %(ns)s RETURNING 1"
DROP_VECTORS: Final = "DELETE FROM memp.vectors WHERE namespace = %(ns)s AND key = ANY(%(keys)s) RETURNING 1"
COMPACTABLE: Final = """
    SELECT seq, id, body FROM memp.trajectories WHERE namespace = %(ns)s AND seq > %(seq)s
    AND recorded_at < %(before)s AND substr(body, 1, 1) = '\\x78'::bytea ORDER BY seq LIMIT %(n)s"""
COMPACT: Final = "UPDATE memp.trajectories SET body = %(body)b WHERE namespace = %(ns)s AND id = %(id)s"

# -- drafts and vectors ----------------------------------------------------------------------------

DRAFT: Final = "SELECT text FROM memp.drafts WHERE namespace = %(ns)s AND key = %(key)s"
SAVE_DRAFT: Final = """
    INSERT INTO memp.drafts (namespace, key, text) VALUES (%(ns)s, %(key)s, %(text)s)
    ON CONFLICT (namespace, key) DO UPDATE SET text = excluded.text"""
DROP_DRAFTS: Final = "DELETE FROM memp.drafts WHERE namespace = %(ns)s AND key = ANY(%(keys)s)"
DROP_LEFT_DRAFTS: Final = """
    DELETE FROM memp.drafts d WHERE d.namespace = %(ns)s AND NOT EXISTS
    (SELECT FROM memp.trajectories t WHERE t.namespace = d.namespace AND t.consumed_by IS NULL)"""
VECTORS: Final = """
    SELECT key, vector FROM memp.vectors
    WHERE namespace = %(ns)s AND fingerprint = %(fingerprint)s AND key = ANY(%(keys)s)"""
ALL_VECTORS: Final = "SELECT key, vector FROM memp.vectors WHERE namespace = %(ns)s AND fingerprint = %(fingerprint)s"
SAVE_VECTORS: Final = """
    INSERT INTO memp.vectors (namespace, fingerprint, key, vector)
    SELECT %(ns)s, %(fingerprint)s, * FROM unnest(%(keys)b::bytea[], %(vectors)b::bytea[])
    ON CONFLICT (namespace, fingerprint, key) DO UPDATE SET vector = excluded.vector"""

# -- similarity ------------------------------------------------------------------------------------

SPACE: Final = "SELECT dimensions, upto FROM memp.spaces WHERE namespace = %(ns)s AND fingerprint = %(fingerprint)s"
SAVE_SPACE: Final = """
    INSERT INTO memp.spaces AS s (namespace, fingerprint, dimensions, upto)
    VALUES (%(ns)s, %(fingerprint)s, %(dimensions)s, %(upto)s)
    ON CONFLICT (namespace, fingerprint) DO UPDATE SET upto = greatest(s.upto, excluded.upto)"""
DROP_SPACE: Final = "DELETE FROM memp.spaces WHERE namespace = %(ns)s AND fingerprint = %(fingerprint)s"
SAVE_NEAR: Final = """
    INSERT INTO memp.near AS n (namespace, fingerprint, id, seq, changed, servable, success, vector)
    SELECT %(ns)s, %(fingerprint)s, u.id, u.seq, u.changed, u.servable, u.success, u.vector::vector
    FROM unnest(%(ids)b::text[], %(seqs)b::bigint[], %(changed)b::bigint[], %(servable)b::boolean[],
                %(success)b::boolean[], %(vectors)b::text[]) AS u (id, seq, changed, servable, success, vector)
    ON CONFLICT (namespace, fingerprint, id) DO UPDATE
    SET changed = excluded.changed, servable = excluded.servable, vector = excluded.vector
    WHERE n.changed < excluded.changed"""
DROP_NEAR: Final = "DELETE FROM memp.near WHERE namespace = %(ns)s AND id = ANY(%(ids)s)"
WIDE: Final = """
    SELECT set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('hnsw.ef_search', %(ef)s, true)"""
NEAREST: Final = """
    SELECT id, seq, -(vector <#> %(vector)s::vector) FROM memp.near
    WHERE namespace = %(ns)s AND fingerprint = %(fingerprint)s {filter}
    ORDER BY vector::{kind} <#> %(vector)s::vector::{kind} LIMIT %(n)s"""

# -- the whole -------------------------------------------------------------------------------------

COUNTS: Final = """
    SELECT (SELECT count(*) FROM memp.trajectories t WHERE t.namespace = %(ns)s),
           (SELECT count(*) FROM memp.trajectories w WHERE w.namespace = %(ns)s AND w.consumed_by IS NULL),
           (SELECT count(*) FROM memp.revisions r WHERE r.namespace = %(ns)s),
           (SELECT count(*) FROM memp.recalls c WHERE c.namespace = %(ns)s),
           (SELECT count(*) FROM memp.outcomes o WHERE o.namespace = %(ns)s),
           (SELECT count(*) FROM memp.receipts e WHERE e.namespace = %(ns)s)"""
STATUSES: Final = """
    SELECT status, count(*) FROM memp.procedures WHERE namespace = %(ns)s GROUP BY status ORDER BY status"""
SIZE: Final = """
    SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c
    JOIN pg_namespace s ON s.oid = c.relnamespace WHERE s.nspname = 'memp' AND c.relkind = 'r'"""
