"""No statement lacks its namespace or joins across namespaces: the tables shard by it."""

import ast
import re
from pathlib import Path

import pytest

import memp.stores.postgres
from memp.stores.postgres import statements
from memp.stores.postgres.migrations import MIGRATIONS, TABLES

STATEMENTS = {
    name: re.sub(r"'[^']*'", "''", text)
    for name, text in vars(statements).items()
    if name.isupper() and not name.startswith("_")
}
OF_ALL = {"NAMESPACES", "ANY_VERSION", "ALL_ERASURES"}
"""What is asked about all namespaces, of the table that lists them."""
NO_ALIAS = "AS|SET|WHERE|ON|ORDER|VALUES|LEFT|JOIN|DO|USING|GROUP|LIMIT"


def tables(text):
    """(alias or name, table) of every table that a statement reads or writes."""
    found = re.findall(rf"\b(?:FROM|JOIN|INTO|UPDATE)\s+memp\.(\w+)(?:\s+(?:AS\s+)?(?!(?:{NO_ALIAS})\b)(\w+))?", text)
    assert len(found) == len(re.findall(r"\bmemp\.\w+", text)), f"not understood: {text}"
    return [(alias or table, table) for table, alias in found]


def bound(text):
    """The aliases whose namespace is that of the transaction: by a value, or by one they are joined to."""
    found = {match[1] or "" for match in re.finditer(r"\b(?:(\w+)\.)?namespace = %\(ns\)s", text)}
    joined = re.findall(r"\b(\w+)\.namespace = (\w+)\.namespace", text)
    while more := {alias for pair in joined for alias in pair if set(pair) & found} - found:
        found |= more
    return found


def check(text):
    """See that a statement is about one namespace only."""
    used = tables(text)
    inserted = re.search(
        r"INSERT INTO memp\.\w+ (?:AS \w+ )?\(namespace,[^)]*\)"
        r"\s+(?:(?:VALUES \(|SELECT )%\(ns\)s|SELECT (\w+)\.namespace),",
        text,
    )
    inserted = inserted and (inserted[1] is None or inserted[1] in bound(text))
    if len(used) == 1:
        assert inserted or bound(text), f"no namespace: {text}"
        assert not ("INSERT" in text and not inserted), text
    else:  # every table has an alias of its own, so that it is plain whose namespace is meant
        assert len(dict(used)) == len(used), f"two tables of one name: {text}"
        into = {used[0][0]} if inserted else set()
        assert {alias for alias, _ in used} <= bound(text) | into, f"a table of any namespace: {text}"


@pytest.mark.parametrize("name", [name for name in STATEMENTS if "memp." in STATEMENTS[name] and name not in OF_ALL])
def test_every_table_of_a_statement_is_of_one_namespace(name):
    check(STATEMENTS[name])


def test_what_is_asked_about_all_reads_the_list_of_namespaces_alone():
    for name in OF_ALL:
        assert [table for _, table in tables(STATEMENTS[name])] == ["namespaces"]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT body FROM memp.recalls WHERE id = %(id)s",
        "SELECT t.id FROM memp.trajectories t JOIN memp.outcomes o ON o.seq = t.seq WHERE t.namespace = %(ns)s",
        "UPDATE memp.revisions SET served = 1 WHERE procedure_id = %(id)s",
        "SELECT o.body FROM memp.trajectories t, memp.outcomes o WHERE t.namespace = %(ns)s",
        "DELETE FROM memp.drafts",
        "INSERT INTO memp.drafts (key, text) VALUES (%(key)s, %(text)s)",
        "INSERT INTO memp.drafts (namespace, key) VALUES (%(ns)s, (SELECT max(id) FROM memp.recalls r))",
        "INSERT INTO memp.drafts (namespace, key) SELECT u.ns, u.key FROM unnest(%(ns)s, %(keys)s) u (ns, key)",
        "INSERT INTO memp.drafts (namespace, key) SELECT %(ns)s, id FROM memp.recalls",
        "INSERT INTO memp.drafts (namespace, key) SELECT r.namespace, r.id FROM memp.recalls r WHERE r.id = %(ns)s",
    ],
)
def test_the_check_notices(text):
    with pytest.raises(AssertionError):
        check(text)


def refused_by_citus(text):
    """What Citus 13 says of a statement that one PostgreSQL takes (docs/scale.md has where it says so)."""
    into, _, conflict = text.partition("ON CONFLICT")
    if re.search(r"\bVALUES\s*\(.*\bSELECT\b", into, re.DOTALL):
        return "subqueries are not supported within INSERT queries"
    if re.search(r"\b(now|clock_timestamp|random|current_\w+)\b", conflict):
        return "functions used in the DO UPDATE SET clause must be IMMUTABLE"
    if re.search(r"\bINSERT INTO\b.*\bSELECT %\(ns\)s", into, re.DOTALL) and not conflict:
        return "COPY FROM not supported with row-level security"  # which is how it brings such rows to their shard
    return None


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_sharded_server_takes_every_statement(name):
    assert refused_by_citus(STATEMENTS[name]) is None


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO memp.t (namespace, seq) VALUES (%(ns)s, (SELECT 1 FROM memp.n n WHERE n.namespace = %(ns)s))",
        "INSERT INTO memp.t (namespace, at) VALUES (%(ns)s, 1) ON CONFLICT (namespace) DO UPDATE SET at = now()",
        "INSERT INTO memp.t (namespace, id) SELECT %(ns)s, * FROM unnest(%(ids)s)",
    ],
)
def test_what_a_sharded_server_refuses_is_noticed(text):
    assert refused_by_citus(text)


def test_every_key_and_index_begins_with_the_namespace():
    made = [statement for migration in MIGRATIONS for statement in migration]
    assert {re.search(r"CREATE TABLE memp\.(\w+)", s)[1] for s in made if "CREATE TABLE" in s} == set(TABLES)
    for statement in made:
        for columns in re.findall(r"(?:PRIMARY KEY|UNIQUE|INDEX \w+ ON memp\.\w+(?: USING \w+)?) \((\w+)", statement):
            assert columns == "namespace", statement
        if "CREATE TABLE" in statement:
            assert "PRIMARY KEY" in statement


def test_there_is_no_sql_elsewhere():
    """So that what is checked here is all there is; migrations may say more, for a database that has none yet."""
    spoken = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM)\b.*\bmemp\.", re.DOTALL)
    for path in Path(memp.stores.postgres.__file__).parent.glob("*.py"):
        if path.name in ("statements.py", "migrations.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not spoken.search(node.value), f"{path.name}: {node.value}"
