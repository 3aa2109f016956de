# Sourced by setup.sh and get-criu.sh: a CRIU that serves on this kernel. Sets `criu`.
# The machine's own where it serves, else the distribution's, else Debian's newest in a folder of its own.

criu_folder=$state/criu
private_criu=$criu_folder/bin/criu
criu_versions=$criu_folder/versions
# Debian releases whose CRIU may go into the folder, the likelier to work first.
criu_suites="forky sid"

criu_version() { "$1" --version 2>/dev/null | sed -n 's/^Version: //p'; }
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# 4.2 also saves sockets of ICMP, which the preflight refuses to move with an older one; what is newer than 4.2.1 saves
# nothing more of what jobs have. As in agent/machine/criu/criu.ts: older ones don't know the vDSO of kernels from 6.13 on, nor TCP sockets from 6.16 on.
least_criu=4.1
! at_least "$(uname -r | sed 's/[^0-9.].*//')" 6.16 || least_criu=4.2

# A program that is connected with itself over TCP, and leads a session without a terminal, as CRIU wants it. In Perl,
# which every Debian has.
connected_program() {
  exec perl -MPOSIX -MSocket -e '
    POSIX::setsid();
    socket(L, AF_INET, SOCK_STREAM, 0) && socket(C, AF_INET, SOCK_STREAM, 0) or exit 1;
    bind(L, sockaddr_in(0, INADDR_LOOPBACK)) && listen(L, 1) or exit 1;
    connect(C, getsockname(L)) && accept(A, L) && syswrite(A, "x") or exit 1;
    syswrite(STDOUT, "\n");
    POSIX::close(1);
    alarm 60;
    POSIX::pause();'
}

# Does this CRIU dump a program with TCP connections? Its own check does not try that.
dumps_tcp() (
  exec 2>/dev/null # where the shell would say that the dumped program was killed
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  mkdir "$work/images"
  mkfifo "$work/ready"
  (connected_program) </dev/null >"$work/ready" &
  read -r _ <"$work/ready" || return 1
  "$1" dump -t $! -D "$work/images" --tcp-established --network-lock skip >/dev/null && return 0
  kill -9 $!
  return 1
)

# Why the CRIU at a path does not serve here; nothing when it does.
criu_problem() {
  local version
  version=$(criu_version "$1") || true
  if [ -z "$version" ]; then
    echo "it does not run"
  elif ! at_least "$version" $least_criu; then
    echo "it is version $version, $least_criu or newer is needed on kernel $(uname -r)"
  elif ! "$1" check >/dev/null 2>&1; then
    echo "version $version: $("$1" check 2>&1 | tail -n 1)"
  elif ! dumps_tcp "$1"; then
    echo "version $version can't dump TCP connections on kernel $(uname -r)"
  fi
}
serves() { [ -z "$(criu_problem "$1")" ]; }

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

# Starts the folder's criu with the folder's loader and libraries.
write_wrapper() {
  local root=$1/root loader
  loader=$(find "$root/usr/lib" -name 'ld-linux-*.so.*' | head -n 1)
  mkdir -p "$1/bin"
  cat >"$1/bin/criu" <<WRAPPER
#!/bin/sh
exec "$loader" --library-path "$root/usr/lib/$(uname -m)-linux-gnu" "$root/usr/sbin/criu" "\$@"
WRAPPER
  chmod 755 "$1/bin/criu"
}

# Each version has a folder of its own, and bin/criu is a link to the one in use: jobs that are being moved keep theirs.
criu_in_folder() {
  local suite=$1 work=$2 version target package problem
  debs_of "$suite" "$work" criu || return 1
  version=$(dpkg-deb -f "$work"/debs/criu_*.deb Version)
  target=$(mktemp -d "$criu_versions/$version.XXXXXX")
  chmod 755 "$target"
  for package in "$work"/debs/*.deb; do dpkg-deb -x "$package" "$target/root"; done
  write_wrapper "$target"
  problem=$(criu_problem "$target/bin/criu")
  if [ -n "$problem" ]; then
    say "not the CRIU of Debian $suite: $problem"
    rm -rf "$target"
    return 1
  fi
  switch_criu "$target"
}

# The one used until now is kept until the next switch: something may still run from it.
switch_criu() {
  local before folder
  before=$(readlink $criu_folder/bin/criu || true)
  [ -z "$before" ] || rm -rf $criu_folder/root
  ln -s "$1/bin/criu" "$criu_folder/bin/criu.new"
  mv -T $criu_folder/bin/criu.new $criu_folder/bin/criu
  for folder in $criu_versions/*; do
    [ "$folder" = "$1" ] || [ "$folder/bin/criu" = "$before" ] || rm -rf "$folder"
  done
}

criu_from_debian() {
  local suite work
  is_debian || return 1
  mkdir -p $criu_versions $criu_folder/bin
  work=$(mktemp -d)
  # shellcheck disable=SC2064 # the folder of now
  trap "rm -rf '$work'" EXIT
  for suite in $criu_suites; do
    say "getting CRIU of Debian $suite into $criu_folder"
    criu_in_folder "$suite" "$work/$suite" && return 0
  done
  return 1
}

if has criu && serves criu; then
  criu=criu
elif [ "${1:-}" = update ] && criu_from_debian; then
  criu=$private_criu
elif [ -x $private_criu ] && serves $private_criu; then
  criu=$private_criu
elif criu_from_distribution; then
  criu=criu
elif criu_from_debian; then
  criu=$private_criu
else
  stop "no CRIU $least_criu or newer that serves on kernel $(uname -r)" \
    "install one (see https://criu.org/Installation), then run this again"
fi
say "CRIU: $(criu_version $criu) ($(command -v $criu)) passes its check and saves TCP connections"
