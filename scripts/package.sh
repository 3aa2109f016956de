#!/usr/bin/env bash
# Packs what `npm run build` has made into all that a release has, in dist/ or the folder that is given:
#   NAME-VERSION.vsix               the extension, with all that a node needs
#   NAME-VERSION-linux-ARCH.tar.gz  the same for a node without VS Code: the command, agent, keeper, man pages, service
#   godwit_VERSION_ARCH.deb         and as a Debian package, with the Node.js that it runs on
#   SHA256SUMS                      of all
# The same sources give the same bytes. Says how big each is.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath "${1:-dist}")

# vsce wants a newer Node.js than Godwit does.
node=$(ls -d "$PWD"/node_modules/node-linux-*/bin/node | head -n 1)
arch=$("$node" -p process.arch)
version=$("$node" -p 'require("./package.json").version')
name=godwit-$version
vsix=$name.vsix
bundle=$name-linux-$arch.tar.gz
. scripts/package-deb.sh
deb=godwit_${version}_$(deb_architecture).deb
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What would differ from one machine, and one day, to the next. Without git: the first day that a .zip can name.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || echo 315619200)
export SOURCE_DATE_EPOCH TZ=UTC LC_ALL=C
umask 022

options=(
  # The helper in it is compiled for this kind of machine.
  --target "linux-$arch"
  # Everything is in the bundles: no module goes along.
  --no-dependencies
  # The project's pages have no address yet that links could be made to.
  --allow-missing-repository --no-rewrite-relative-links
)
if ! "$node" node_modules/@vscode/vsce/vsce package "${options[@]}" --out "$work/$vsix" >"$work/said" 2>&1; then
  cat "$work/said" >&2
  exit 1
fi

# Programs find each other in the folder that they are in.
mkdir -p "$work/$name"/{bin,lib,share/man/man1,share/doc}
programs=(dist/{godwit,agent,keeper}.cjs dist/godwit-{helper,homefs,stacks.py,agent.service,live} dist/godwit-*.so)
cp -r "${programs[@]}" "$work/$name/lib"
ln -s ../lib/godwit.cjs "$work/$name/bin/godwit"
cp docs/man/*.1 "$work/$name/share/man/man1"
cp docs/config.example.json docs/{configuration,service}.md "$work/$name/share/doc"
cp README.md CHANGELOG.md LICENSE THIRD_PARTY_NOTICES.md "$work/$name"
tar --create --directory "$work" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
  --mode=u=rwX,go=rX --format=gnu "$name" | gzip -9 --no-name >"$work/$bundle"

files=("$vsix" "$bundle")
if command -v dpkg-deb >/dev/null; then
  make_deb "$work/$deb"
  files+=("$deb")
fi

(cd "$work" && sha256sum "${files[@]}" >SHA256SUMS)
# What is at its place is whole.
for file in "${files[@]}" SHA256SUMS; do
  mv "$work/$file" "$out/$file.new"
  mv "$out/$file.new" "$out/$file"
done
for file in "${files[@]}"; do
  echo "package: $out/$file, $(stat -c %s "$out/$file" | numfmt --to=si --suffix=B)"
done
