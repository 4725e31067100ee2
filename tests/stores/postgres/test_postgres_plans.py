"""The server's own planner says that each statement is about one namespace; conftest sees that no others are sent."""

import re

import psycopg
import pytest

from memp.stores.postgres import statements
from memp.stores.postgres.migrations import TABLES, index_near
from memp.stores.postgres.near import _FILTERS

OF_ALL = {"NAMESPACES", "ANY_VERSION", "ALL_ERASURES"}
"""What is asked about all namespaces, of the table that lists them."""


def variants():
    """(name, text) of every statement on the tables of a memory, with what is filled in at run time."""
    for name, text in vars(statements).items():
        if name.isupper() and not name.startswith("_") and "memp." in text and "set_config" not in text:
            fillings = [{"kind": "vector(3)", "filter": chosen} for chosen in _FILTERS.values()]
            for number, filling in enumerate(fillings if "{kind}" in text else [None]):
                yield (name, text) if filling is None else (f"{name}-{number}", text.format(**filling))


STATEMENTS = dict(variants())


def nodes(plan):
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def conditions(node):
    return " AND ".join(str(node[key]) for key in ("Index Cond", "Recheck Cond", "Filter") if key in node)


def planned(db, text):
    """The plan for any values; `$1` is the namespace."""
    names = ["ns"]
    names.extend(dict.fromkeys(name for name in re.findall(r"%\((\w+)\)[sb]", text) if name != "ns"))
    text = re.sub(r"%\((\w+)\)[sb]", lambda match: f"${names.index(match[1]) + 1}", text)
    ((((plan,),),),) = (db.execute(f"EXPLAIN (GENERIC_PLAN, VERBOSE, COSTS OFF, FORMAT JSON) {text}").fetchall(),)
    return plan["Plan"]


def check(plan):
    """See that each row that is read, changed or made is of the namespace `$1`."""
    scans = [node for node in nodes(plan) if node.get("Schema") == "memp" and node["Node Type"] != "ModifyTable"]
    writes = [node for node in nodes(plan) if node["Node Type"] == "ModifyTable" and node["Operation"] == "Insert"]
    assert scans or writes, "reads and writes nothing"
    for node in scans:
        alias = node["Alias"]
        said = re.search(rf"\((?:{alias}\.)?namespace = \(?\$1\)?(::text)?\)", conditions(node))
        assert said, f"{node['Relation Name']} of any namespace: {conditions(node)}"
        assert " OR " not in conditions(node), conditions(node)
    for node in writes:  # the first column of every table is the namespace
        (made,) = [part for part in node["Plans"] if part["Parent Relationship"] != "InitPlan"]
        assert re.fullmatch(r"\$1(::text)?|\w+\.namespace", made["Output"][0]), (
            f"writes any namespace: {made['Output']}"
        )
    return {node["Relation Name"] for node in scans + writes}


@pytest.fixture(scope="module")
def planner(migrated):
    with psycopg.connect(migrated, autocommit=True) as db:  # a superuser: row-level security adds nothing
        yield db


@pytest.mark.parametrize("name", [name for name in STATEMENTS if name not in OF_ALL])
def test_every_row_that_a_statement_touches_is_of_one_namespace(planner, name):
    assert check(planned(planner, STATEMENTS[name]))


@pytest.mark.parametrize("name", sorted(OF_ALL))
def test_what_is_asked_about_all_reads_the_list_of_namespaces_alone(planner, name):
    plan = planned(planner, STATEMENTS[name])
    assert {node["Relation Name"] for node in nodes(plan) if "Relation Name" in node} == {"namespaces"}


@pytest.mark.parametrize(
    "text",
    [
        "SELECT body FROM memp.recalls WHERE id = %(ns)s",
        "SELECT body FROM memp.recalls WHERE namespace = %(ns)s OR id = %(id)s",
        "SELECT body FROM memp.recalls WHERE namespace > %(ns)s",
        "SELECT body FROM memp.recalls WHERE namespace = %(other)s::text AND id = %(ns)s",
        "SELECT t.id FROM memp.trajectories t JOIN memp.outcomes o ON o.seq = t.seq WHERE t.namespace = %(ns)s",
        "SELECT (SELECT max(id) FROM memp.recalls) FROM memp.trajectories t WHERE t.namespace = %(ns)s",
        "WITH r AS MATERIALIZED (SELECT * FROM memp.recalls) SELECT * FROM r WHERE namespace = %(ns)s",
        "SELECT id FROM memp.recalls WHERE namespace = %(ns)s UNION SELECT id FROM memp.receipts",
        "UPDATE memp.revisions SET served = 1 WHERE procedure_id = %(ns)s",
        "DELETE FROM memp.drafts",
        "DELETE FROM memp.drafts d WHERE d.namespace = %(ns)s AND NOT EXISTS (SELECT FROM memp.trajectories t)",
        "INSERT INTO memp.drafts (namespace, key, text) VALUES (%(key)s, %(ns)s, 't')",
        "INSERT INTO memp.drafts SELECT namespace, id, body FROM memp.recalls WHERE id = %(ns)s",
        "INSERT INTO memp.drafts VALUES (%(ns)s, 'k', (SELECT max(id) FROM memp.recalls))",
    ],
)
def test_the_check_notices(planner, text):
    with pytest.raises(AssertionError):
        check(planned(planner, text))


# -- what the catalogue says -----------------------------------------------------------------------

_OF_MEMP = "JOIN pg_namespace n ON n.oid = {} WHERE n.nspname = 'memp'"


def test_every_index_is_led_by_the_namespace_or_is_of_one_alone(planner):
    index_near(planner, "it's", "f", 3)
    made = "SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid "
    found = [text for (text,) in planner.execute(made + _OF_MEMP.format("c.relnamespace"))]
    assert len(found) > len(TABLES)
    near = [text for text in found if "USING hnsw" in text]
    (mine,) = (text for text in near if "WHERE ((namespace = 'it''s'::text) AND " in text)
    planner.execute("DROP INDEX memp." + mine.split()[2])
    assert all(re.search(r"WHERE \(\(namespace = '[^']*('')?[^']*'::text\) AND ", text) for text in near)  # others' too
    assert all(re.search(r" USING btree \(namespace[,)]", text) for text in found if text not in near)


def test_functions_look_at_their_own_row_only(planner):
    read = "SELECT p.prosrc FROM pg_proc p " + _OF_MEMP.format("p.pronamespace")
    sources = [text for (text,) in planner.execute(read)]
    assert sources
    for text in sources:
        assert not re.search(r"\b(FROM|INTO|JOIN|PERFORM|EXECUTE|SELECT|DELETE)\b", text, re.IGNORECASE), text


def test_every_table_is_behind_the_wall(planner):
    walls = "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity FROM pg_class c "
    rows = planner.execute(walls + _OF_MEMP.format("c.relnamespace") + " AND c.relkind IN ('r', 'p', 'v', 'm')")
    assert dict(rows.fetchall()) == {"schema": False, **dict.fromkeys(TABLES, True)}
