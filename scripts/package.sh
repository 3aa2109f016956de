#!/usr/bin/env bash
# Packs what `npm run build` has made into dist/NAME-VERSION.vsix, and says how big it is.
set -euo pipefail
cd "$(dirname "$0")/.."

# vsce wants a newer Node.js than Godwit does.
node=$(ls -d "$PWD"/node_modules/node-linux-*/bin/node | head -n 1)
vsix=$("$node" -p 'const { name, version } = require("./package.json"); `dist/${name}-${version}.vsix`')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
options=(
  # The helper in it is compiled for this kind of machine.
  --target "linux-$("$node" -p process.arch)"
  # Everything is in the bundles: no module goes along.
  --no-dependencies
  # The project's pages have no address yet that links could be made to.
  --allow-missing-repository --no-rewrite-relative-links
)
if ! "$node" node_modules/@vscode/vsce/vsce package "${options[@]}" --out "$work/vsix" >"$work/said" 2>&1; then
  cat "$work/said" >&2
  exit 1
fi
# What is at its place is whole.
mv "$work/vsix" "$vsix.new"
mv "$vsix.new" "$vsix"
echo "package: $vsix, $(stat -c %s "$vsix" | numfmt --to=si --suffix=B)"
