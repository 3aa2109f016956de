# Sourced by setup.sh, setup-machines.sh and the package's get-criu: what the machine is, and how it gets packages.

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

# `apt_of SUITE FOLDER apt-get|apt-cache …`: with a configuration of its own, which knows that Debian release and of no
# installed package, so that nothing of it is ever installed on this machine. FOLDER has its lists, and what it downloads.
apt_of() {
  local suite=$1 folder=$2/apt program=$3 keys=/usr/share/keyrings/debian-archive-keyring.gpg
  shift 3
  [ -e $keys ] || apt_install debian-archive-keyring
  mkdir -p "$folder"/{lists,cache/archives}/partial
  echo "deb [signed-by=$keys] http://deb.debian.org/debian $suite main" >"$folder/sources.list"
  "$program" -qq -o "Dir::Etc::sourcelist=$folder/sources.list" -o Dir::Etc::sourceparts=- \
    -o "Dir::State::Lists=$folder/lists" -o Dir::State::status=/dev/null -o "Dir::Cache=$folder/cache" \
    -o APT::Sandbox::User=root "$@"
}

# Packages of a Debian release, and all that they depend on, as files in $2/debs.
debs_of() {
  local suite=$1 work=$2
  shift 2
  apt_of "$suite" "$work" apt-get update &&
    apt_of "$suite" "$work" apt-get install -y --no-install-recommends --download-only "$@" >/dev/null &&
    mv "$work/apt/cache/archives" "$work/debs"
}
