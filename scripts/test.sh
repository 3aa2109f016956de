#!/usr/bin/env bash
# All that a change must pass: set-up, build, types, lint, tests. With an argument (unit, cluster, attacks, vscode, slurm)
# only those tests; those with Slurm run by themselves alone.
# Prints how much of the sources the unit tests run. Ends with the line `N passed, N failed`.
set -euo pipefail
cd "$(dirname "$0")/.."

reports=$(mktemp -d)
counted=
# An end of this script before the tests are counted is a failure, and the last line says so.
finish() {
  rm -rf "$reports"
  [ -n "$counted" ] || echo "0 passed, 1 failed"
}
trap finish EXIT

in_vscode=
case "${1:-vscode}" in vscode) in_vscode=vscode ;; esac
bash scripts/setup.sh $in_vscode
case "${1:-cluster}" in cluster) bash scripts/setup-tests.sh ;; slurm) bash scripts/setup-slurm.sh ;; esac
npm run --silent build
[ -z "$in_vscode" ] || npm run --silent package
npm run --silent typecheck
npm run --silent lint

case "${1:-cluster}" in cluster) bash scripts/test-sanitized.sh ;; esac

node=$(ls -d "$PWD"/node_modules/node-linux-*/bin/node | head -n 1)
status=0
runs=()
# NAME ARGUMENT...: of vitest.
run_tests() {
  runs+=("$reports/$1")
  "$node" node_modules/vitest/vitest.mjs run "${@:2}" \
    --reporter=default --reporter=json --outputFile.json="$reports/$1" || status=$?
}
# Apart, for coverage is of what runs in the tests' own processes; labs run bundles, which are not instrumented.
case "${1:-unit}" in
  unit)
    run_tests unit --project unit --coverage.enabled
    run_tests timed --project timed
    ;;
esac
case "${1:-}" in
  unit) ;;
  '') run_tests labs --project cluster --project attacks --project vscode ;;
  *) run_tests labs --project "$1" ;;
esac

counted=1
# A run that crashed leaves no report, or one that is not a success: either counts as a failure.
"$node" - "$status" "${runs[@]}" <<'COUNT'
const { readFileSync } = require('node:fs');
const [, , status, ...files] = process.argv;
let passed = 0;
let failed = 0;
let good = status === '0';
for (const file of files) {
  try {
    const report = JSON.parse(readFileSync(file, 'utf8'));
    passed += report.numPassedTests;
    failed += report.numFailedTests;
    good &&= report.success === true && report.numPassedTests > 0;
  } catch {
    console.log('the test run left no report: it crashed');
    good = false;
  }
}
console.log(`${passed} passed, ${good ? 0 : Math.max(failed, 1)} failed`);
process.exit(good ? 0 : 1);
COUNT
