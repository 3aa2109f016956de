#!/usr/bin/env bash
# Runs the bench of that name, with what it needs; without one the first two. test/bench/main.ts has their options.
set -euo pipefail
cd "$(dirname "$0")/.."
in_vscode=
[ "${1:-}" != extension ] || in_vscode=vscode
bash scripts/setup.sh $in_vscode
npm run --silent build
[ -z "$in_vscode" ] || npm run --silent package
exec node dist/bench.cjs "$@"
