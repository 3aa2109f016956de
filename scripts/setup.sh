#!/usr/bin/env bash
# Brings this machine to where Godwit builds, runs and tests: packages, npm modules, a CRIU that serves.
# With the argument `vscode` also a VS Code and a browser to show it in. Asks nothing, changes only what is missing, and
# does nothing the second time. With the argument `update` the CRIU that it keeps in a folder of its own, and its
# libraries, are got anew: no package manager does that.
set -euo pipefail
cd "$(dirname "$0")/.."

least_node=20
. scripts/machine.sh

case "${1:-}" in
  '' | vscode | update) ;;
  *) stop "\`$1\` is nothing to set up" "usage: setup.sh [vscode [minimum] | update]" ;;
esac

# --- the person ------------------------------------------------------------------------------------------------

[ "$(uname -s)" = Linux ] || stop "Godwit runs on Linux; this is $(uname -s)"
[ "$(id -u)" = 0 ] || stop "CRIU, cgroups and namespaces need root" "run: sudo npm run setup"
has node || stop "Node.js $least_node or newer is needed, none is installed" "get it from https://nodejs.org or your distribution"
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge $least_node ] ||
  stop "Node.js $least_node or newer is needed, this is $(node -v)" "get it from https://nodejs.org or your distribution"

# --- packages --------------------------------------------------------------------------------------------------

links_static() {
  has cc && echo "int main(void) { return 0; }" | cc -static-pie -fPIE -x c - -o /dev/null 2>/dev/null
}

# The Debian packages that hold what is missing, one a line.
missing_packages() {
  has gdb || echo gdb
  has gdbserver || echo gdbserver
  has ip || echo iproute2
  has openssl || echo openssl
  has nsenter || echo util-linux
  has tar || echo tar
  has gzip || echo gzip
  links_static || printf 'gcc\nlibc6-dev\n'
  has g++ || echo g++
}

packages=$(missing_packages | tr '\n' ' ')
if [ -n "$packages" ]; then
  is_debian || stop "missing: $packages" "this is not Debian or Ubuntu: install these by its own means, then run this again"
  # shellcheck disable=SC2086 # one word a package
  apt_install $packages
  packages=$(missing_packages | tr '\n' ' ')
  [ -z "$packages" ] || stop "still missing after the installation: $packages"
fi
say "packages: gdb, gdbserver, ip, openssl, cc, g++"

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

. scripts/setup-criu.sh

[ "${1:-}" != vscode ] || . scripts/setup-vscode.sh
