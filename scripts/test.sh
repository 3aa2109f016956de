#!/usr/bin/env bash
# All that a change must pass: set-up, build, types, lint, tests. With an argument (unit, cluster, attacks, vscode) only
# those tests.
# Ends with the line `N passed, N failed`.
set -euo pipefail
cd "$(dirname "$0")/.."

report=$(mktemp)
counted=
# Whatever stops this script before the tests are counted is a failure, and the last line says so.
finish() {
  rm -f "$report"
  [ -n "$counted" ] || echo "0 passed, 1 failed"
}
trap finish EXIT

in_vscode=
case "${1:-vscode}" in vscode) in_vscode=vscode ;; esac
bash scripts/setup.sh $in_vscode
case "${1:-cluster}" in cluster) bash scripts/setup-tests.sh ;; esac
npm run --silent build
[ -z "$in_vscode" ] || npm run --silent package
npm run --silent typecheck
npm run --silent lint

case "${1:-cluster}" in cluster) bash scripts/test-sanitized.sh ;; esac

node=$(ls -d "$PWD"/node_modules/node-linux-*/bin/node | head -n 1)
projects=()
[ -z "${1:-}" ] || projects=(--project "$1")
status=0
"$node" node_modules/vitest/vitest.mjs run "${projects[@]}" \
  --reporter=default --reporter=json --outputFile.json="$report" || status=$?

counted=1
# A run that crashed leaves no report, or one that is not a success: either counts as a failure.
"$node" - "$report" "$status" <<'COUNT'
const { readFileSync } = require('node:fs');
const [, , file, status] = process.argv;
let report = {};
try {
  report = JSON.parse(readFileSync(file, 'utf8'));
} catch {
  console.log('the test run left no report: it crashed');
}
const passed = report.numPassedTests ?? 0;
const failed = report.numFailedTests ?? 0;
const good = status === '0' && report.success === true && passed > 0;
console.log(`${passed} passed, ${good ? 0 : Math.max(failed, 1)} failed`);
process.exit(good ? 0 : 1);
COUNT
