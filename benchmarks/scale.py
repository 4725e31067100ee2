"""The arithmetic of docs/scale.md: how many nodes so many tenants take, from what one node was measured to hold and do.

    python benchmarks/scale.py [--tenants 100000] [--procedures 10000] [--node figures.json]

The figures of a node are those of `benchmarks/postgres_node.py` (and `postgres.py`) on your machine; `--print-node`
shows those of ours, to be copied and changed. Everything but the figures is multiplication, which is printed with it:
nothing here was run at that size.
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any

NODE: dict[str, dict[str, Any]] = {
    "procedure bytes": {"is": 4_700, "of": "rows, keys, words, vector of one procedure (20,000 of one tenant)"},
    "near bytes": {"is": 1_350, "of": "its searched copy and its part of the HNSW index, where the database searches"},
    "episode bytes": {"is": 3_020, "of": "trajectory of some 12 steps, recall, outcome, with their keys"},
    "records a second": {"is": 129, "of": "durable, 16 clients, 100 tenants, at a load of 41"},
    "retrieves a second": {"is": 112, "of": "logged, 4 clients, 100 tenants, at a load of 41"},
    "loads a second": {"is": 1_047, "of": "procedures written by one client, 2,000 a transaction, at a load of 17"},
    "cores": {"is": 2, "of": "the node that was measured; its clients and much other work were on it too"},
}
"""What one node was measured to do; docs/scale.md says when and how."""


def plan(asked: argparse.Namespace, node: dict[str, float]) -> list[tuple[str, str, str]]:
    """(what, how much, how it follows)."""
    tenants, each = asked.tenants, asked.procedures
    share = asked.node_cores / node["cores"] * asked.use
    rows = tenants * each * node["procedure bytes"]
    near = asked.indexed * each * node["near bytes"]
    logs = tenants * asked.episodes * asked.keep * node["episode bytes"]
    hot = rows * asked.active + near
    records = tenants * asked.episodes / 86_400 * asked.peak
    retrieves = records * asked.recalls
    of_a_node = {kind: node[f"{kind}s a second"] * share for kind in ("record", "retrieve", "load")}
    by = {
        "disk": math.ceil((rows + near + logs) / (asked.node_disk * asked.fill)),
        "memory": math.ceil(hot / (asked.node_memory * asked.fill)),
        "records": math.ceil(records / of_a_node["record"]),
        "retrieves": math.ceil(retrieves / of_a_node["retrieve"]),
    }
    nodes = max(by.values())
    hours = tenants * each / (of_a_node["load"] * nodes) / 3_600
    scaled = f"/s measured x {asked.node_cores} / {node['cores']:g} cores x {asked.use:.0%} use"
    return [
        ("procedures", f"{tenants * each:,}", f"{tenants:,} tenants x {each:,}"),
        ("their rows", tb(rows), f"x {node['procedure bytes']:,.0f} bytes"),
        (
            "searched in the database",
            tb(near),
            f"{asked.indexed:,} tenants x {each:,} x {node['near bytes']:,.0f} bytes",
        ),
        ("episodes", tb(logs), f"{asked.episodes:g} a day x {asked.keep} days x {node['episode bytes']:,.0f} bytes"),
        ("memory wanted", tb(hot), f"{asked.active:.0%} of the rows, and what the database searches"),
        ("records at the peak", f"{records:,.0f}/s", f"{asked.peak:g} x the mean"),
        ("retrieves at the peak", f"{retrieves:,.0f}/s", f"{asked.recalls:g} a record"),
        ("nodes by disk", f"{by['disk']}", f"{tb(asked.node_disk)} each, {asked.fill:.0%} full"),
        ("nodes by memory", f"{by['memory']}", f"{tb(asked.node_memory)} each, {asked.fill:.0%} of it"),
        ("nodes by records", f"{by['records']}", f"{node['records a second']:,.0f}{scaled}"),
        ("nodes by retrieves", f"{by['retrieves']}", f"{node['retrieves a second']:,.0f}{scaled}"),
        ("**nodes**", f"**{nodes}**", "the greatest of the four"),
        ("machines", f"{nodes * asked.copies}", f"{asked.copies} copies of each"),
        ("to load it all", f"{hours:,.0f} h", f"{node['loads a second']:,.0f}{scaled} x nodes"),
    ]


def tb(count: float) -> str:
    """Bytes for people."""
    return f"{count / 1e12:,.2f} TB" if count >= 1e11 else f"{count / 1e9:,.1f} GB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenants", type=int, default=100_000)
    parser.add_argument("--procedures", type=int, default=10_000, help="of each tenant")
    parser.add_argument("--episodes", type=float, default=50, help="of a tenant in a day")
    parser.add_argument("--keep", type=int, default=90, help="days for which episodes are kept")
    parser.add_argument("--recalls", type=float, default=1, help="retrieves for each record")
    parser.add_argument("--peak", type=float, default=4, help="the busiest second against the mean")
    parser.add_argument("--active", type=float, default=0.1, help="share of tenants whose rows are in use")
    parser.add_argument("--indexed", type=int, default=0, help="tenants that let the database search (HNSW)")
    parser.add_argument("--copies", type=int, default=2, help="the primary and its standbys")
    parser.add_argument("--node-cores", type=int, default=32)
    parser.add_argument("--node-memory", type=float, default=256e9, help="bytes")
    parser.add_argument("--node-disk", type=float, default=8e12, help="bytes, of the primary")
    parser.add_argument("--fill", type=float, default=0.7, help="how full disks and memory may be")
    parser.add_argument("--use", type=float, default=0.5, help="how busy nodes may be")
    parser.add_argument("--node", type=Path, help="figures of your node, as --print-node prints ours")
    parser.add_argument("--print-node", action="store_true")
    asked = parser.parse_args()
    figures = json.loads(asked.node.read_text()) if asked.node else NODE
    if asked.print_node:
        print(json.dumps(figures, indent=2))
        return
    print("| | | how |\n|---|---|---|")
    for what, much, how in plan(asked, {name: float(figure["is"]) for name, figure in figures.items()}):
        print(f"| {what} | {much} | {how} |")


if __name__ == "__main__":
    main()
