#!/usr/bin/env bash
# Runs the smoke size of the named studies (default: all) from a clean folder and puts their reports into docs/studies.
# Offline, five minutes. report.md and tables.csv come out the same every time; the page also says when and with what.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
memp=${MEMP:-$root/.venv/bin/memp}
most=200000 # bytes of a page
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
[ $# -gt 0 ] || set -- baselines build quantity recall retrieve shift tokens transfer update
for name in "$@"; do
  began=$SECONDS
  "$memp" study run "$name" --smoke >"$name.log" 2>&1 || { cat "$name.log"; exit 1; }
  made=runs/study-$name-smoke to=$root/docs/studies/$name
  [ "$(wc -c <"$made/report.html")" -le $most ] || { echo "$made/report.html is over $most bytes" >&2; exit 1; }
  mkdir -p "$to"
  cp "$made/report.html" "$made/report.md" "$made/tables.csv" "$to/"
  echo "$name: $((SECONDS - began)) s"
done
