#!/usr/bin/env bash
# Packs what `npm run build` has made into dist/NAME-VERSION.vsix, and says how big it is.
set -euo pipefail
cd "$(dirname "$0")/.."

# vsce wants a newer Node.js than Godwit does.
node=$(ls -d "$PWD"/node_modules/node-linux-*/bin/node | head -n 1)
vsix=$("$node" -p 'const { name, version } = require("./package.json"); `dist/${name}-${version}.vsix`')
# Everything is in the bundles: no module goes along. Made beside and renamed: what is there is whole.
"$node" node_modules/@vscode/vsce/vsce package --no-dependencies --skip-license --allow-missing-repository \
  --no-rewrite-relative-links --out "$vsix.new" >"$vsix.log" 2>&1 || { cat "$vsix.log" >&2; rm -f "$vsix.log" "$vsix.new"; exit 1; }
rm -f "$vsix.log"
mv "$vsix.new" "$vsix"
echo "package: $vsix, $(stat -c %s "$vsix" | numfmt --to=si --suffix=B)"
