# Sourced by setup.sh and by the package's get-criu: what the machine is, and how it gets packages.

state=/var/lib/godwit

say() { echo "setup: $*"; }
stop() {
  echo "setup: $1" >&2
  [ $# -lt 2 ] || echo "       $2" >&2
  exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }
is_debian() { has apt-get && has dpkg && grep -qiE '^(ID|ID_LIKE)=.*(debian|ubuntu)' /etc/os-release; }

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
