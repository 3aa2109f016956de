#!/usr/bin/env bash
# Brings this machine to where Godwit builds, runs and tests: packages, npm modules, a CRIU that serves.
# With the argument `vscode` also a VS Code and a browser to show it in. Asks nothing, changes only what is missing, and
# does nothing the second time.
set -euo pipefail
cd "$(dirname "$0")/.."

least_node=20
least_criu=4.1
state=/var/lib/godwit
private_criu=$state/criu/bin/criu

say() { echo "setup: $*"; }
stop() {
  echo "setup: $1" >&2
  [ $# -lt 2 ] || echo "       $2" >&2
  exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }
is_debian() { has apt-get && has dpkg && grep -qiE '^(ID|ID_LIKE)=.*(debian|ubuntu)' /etc/os-release; }

[ -z "${1:-}" ] || [ "$1" = vscode ] || stop "\`$1\` is nothing to set up" "usage: setup.sh [vscode [minimum]]"

# --- the person ------------------------------------------------------------------------------------------------

[ "$(uname -s)" = Linux ] || stop "Godwit runs on Linux; this is $(uname -s)"
[ "$(id -u)" = 0 ] || stop "CRIU, cgroups and namespaces need root" "run: sudo npm run setup"
has node || stop "Node.js $least_node or newer is needed, none is installed" "get it from https://nodejs.org or your distribution"
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge $least_node ] ||
  stop "Node.js $least_node or newer is needed, this is $(node -v)" "get it from https://nodejs.org or your distribution"

# --- packages --------------------------------------------------------------------------------------------------

links_static() {
  has cc && echo 'int main(void) { return 0; }' | cc -static -x c - -o /dev/null 2>/dev/null
}

# The Debian packages that hold what is missing, one a line.
missing_packages() {
  has gdb || echo gdb
  has gdbserver || echo gdbserver
  has ip || echo iproute2
  has openssl || echo openssl
  has nsenter || echo util-linux
  links_static || printf 'gcc\nlibc6-dev\n'
}

updated=
apt_update() {
  [ -z "$updated" ] || return 0
  say "reading the package lists"
  apt-get -qq update
  updated=1
}
apt_install() {
  apt_update
  say "installing $*"
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends "$@" >/dev/null
}

packages=$(missing_packages | tr '\n' ' ')
if [ -n "$packages" ]; then
  is_debian || stop "missing: $packages" "this is not Debian or Ubuntu: install these by its own means, then run this again"
  # shellcheck disable=SC2086 # one word a package
  apt_install $packages
  packages=$(missing_packages | tr '\n' ' ')
  [ -z "$packages" ] || stop "still missing after the installation: $packages"
fi
say "packages: gdb, gdbserver, ip, openssl, cc"

# --- npm modules -----------------------------------------------------------------------------------------------

stamp=node_modules/.godwit-lock
lock=$(sha256sum package-lock.json | cut -d' ' -f1)
if [ "$(cat $stamp 2>/dev/null)" != "$lock" ]; then
  say "installing the npm modules"
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
  echo "$lock" >$stamp
fi
tools_node=$(ls -d node_modules/node-linux-*/bin/node 2>/dev/null | head -n 1 || true)
[ -n "$tools_node" ] || stop "npm installed no Node 24 for $(uname -m)" "Godwit's agent runs on x64 and arm64"
say "npm modules: as in package-lock.json; node $("$tools_node" -v) for the agent and the tools"

# --- CRIU ------------------------------------------------------------------------------------------------------

criu_version() { "$1" --version 2>/dev/null | sed -n 's/^Version: //p'; }
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }
serves() {
  local version
  version=$(criu_version "$1") && [ -n "$version" ] && at_least "$version" $least_criu && "$1" check >/dev/null 2>&1
}

# The distribution's own, where it is new enough.
criu_from_distribution() {
  is_debian || return 1
  apt_update
  local candidate
  candidate=$(apt-cache policy criu | sed -n 's/^ *Candidate: *//p')
  [ -n "$candidate" ] && [ "$candidate" != "(none)" ] && at_least "$candidate" $least_criu || return 1
  apt_install criu
  hash -r
  serves criu
}

# Debian 13's, with its own libraries, in a folder of its own. apt gets a configuration of its own for it, so that
# nothing else on this machine is ever installed from Debian 13.
criu_in_folder() {
  local keys=/usr/share/keyrings/debian-archive-keyring.gpg
  [ -e $keys ] || apt_install debian-archive-keyring
  mkdir -p $state
  local work
  work=$(mktemp -d $state/criu.XXXXXX)
  # shellcheck disable=SC2064 # the folder of now
  trap "rm -rf '$work'" EXIT
  mkdir -p "$work"/apt/{lists,cache/archives}/partial "$work"/apt/debs "$work"/new/{root,bin}
  echo "deb [signed-by=$keys] http://deb.debian.org/debian trixie main" >"$work/apt/sources.list"
  local options=(
    -o "Dir::Etc::sourcelist=$work/apt/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::Lists=$work/apt/lists"
    -o Dir::State::status=/dev/null -o "Dir::Cache=$work/apt/cache" -o APT::Sandbox::User=root
  )
  apt-get -qq "${options[@]}" update
  (cd "$work/apt/debs" && apt-get -qq "${options[@]}" download criu libcompel1 libc6 libnet1 libnftables1 \
    libprotobuf-c1 libnl-3-200 libgnutls30t64 libbsd0 libuuid1 libgmp10 libnettle8t64 libhogweed6t64 libunistring5 \
    libidn2-0 libp11-kit0 libtasn1-6 libffi8 libmd0 libmnl0 libnftnl11 libxtables12 libjansson4 libedit2 libbrotli1 \
    zlib1g libzstd1 libtinfo6)
  local package
  for package in "$work"/apt/debs/*.deb; do dpkg-deb -x "$package" "$work/new/root"; done
  write_wrapper "$work/new"
  serves "$work/new/bin/criu" || stop "CRIU $(criu_version "$work/new/bin/criu") does not serve on kernel $(uname -r)" \
    "$("$work/new/bin/criu" check 2>&1 | tail -n 1)"
  chmod 755 "$work/new"
  rm -rf $state/criu
  mv "$work/new" $state/criu
}

# Starts the folder's criu with the folder's loader and libraries.
write_wrapper() {
  local loader
  loader=$(cd "$1/root" && find usr/lib -name 'ld-linux-*.so.*' | head -n 1)
  cat >"$1/bin/criu" <<WRAPPER
#!/bin/sh
root=\${0%/*}/../root
exec "\$root/$loader" --library-path "\$root/usr/lib/$(library_triplet)" "\$root/usr/sbin/criu" "\$@"
WRAPPER
  chmod 755 "$1/bin/criu"
}
library_triplet() { echo "$(uname -m)-linux-gnu"; }

if has criu && serves criu; then
  criu=criu
elif [ -x $private_criu ] && serves $private_criu; then
  criu=$private_criu
elif criu_from_distribution; then
  criu=criu
else
  is_debian || stop "no CRIU $least_criu or newer that passes \`criu check\`" \
    "install one (see https://criu.org/Installation), then run this again"
  say "getting CRIU from Debian 13 into $state/criu"
  criu_in_folder
  criu=$private_criu
fi
say "CRIU: $(criu_version $criu) ($(command -v $criu)) passes its check"

[ "${1:-}" != vscode ] || . scripts/setup-vscode.sh
