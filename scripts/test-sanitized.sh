#!/usr/bin/env bash
# Tests of the home's files against programs that end at their first mistake with memory (AddressSanitizer) or of
# arithmetic (UndefinedBehaviorSanitizer). Fails if a test fails or a sanitiser has found something. Arguments are
# vitest's. Afterwards dist/ has the usual programs again.
set -euo pipefail
cd "$(dirname "$0")/.."

# As in scripts/sanitizer.c. Programs of any user write there.
found=/var/lib/godwit/sanitizer
rm -rf "$found"
mkdir -p "$found"
chmod 1777 "$found"
trap 'rm -rf "$found"; npm run --silent build' EXIT

tests=(test/cluster/homefs-host.test.ts test/cluster/homefs.test.ts)
[ $# -gt 0 ] || set -- "${tests[@]}"
export GODWIT_SANITIZE=1
npm run --silent build
node=$(ls -d "$PWD"/node_modules/node-linux-*/bin/node | head -n 1)
status=0
"$node" node_modules/vitest/vitest.mjs run --reporter=dot "$@" || status=$?
unset GODWIT_SANITIZE

for report in "$found"/*; do
  [ -e "$report" ] || continue
  cat "$report"
  status=1
done
[ "$status" = 0 ] && echo "sanitised: nothing found" || echo "sanitised: failed" >&2
exit "$status"
