#!/usr/bin/env bash
# What the tests need besides: a program that looks at system calls, systemd, sshd, databases, Open MPI, compilers of other
# languages. Changes only what is missing.
set -euo pipefail

missing_packages() {
  command -v strace >/dev/null || echo strace
  [ -x /usr/bin/gfortran ] || echo gfortran
  [ -x /usr/bin/rustc ] && [ -e /usr/lib/rustlib/etc/gdb_lookup.py ] || echo rustc rust-gdb
  [ -x /usr/bin/go ] || echo golang-go
  # Not as this machine's PID 1: as that of machines in namespaces.
  [ -x /lib/systemd/systemd ] || echo systemd
  [ -x /usr/sbin/sshd ] || echo openssh-server
  command -v ssh >/dev/null || echo openssh-client
  command -v sudo >/dev/null || echo sudo
  [ -x /usr/bin/mpirun ] || echo openmpi-bin
  [ -x /usr/bin/mpicc ] || echo libopenmpi-dev
  [ -x /usr/bin/python3 ] && /usr/bin/python3 -c 'import sqlite3, lmdb' 2>/dev/null || echo python3 python3-lmdb
}

packages=$(missing_packages | tr '\n' ' ')
[ -n "$packages" ] || exit 0
if ! command -v apt-get >/dev/null; then
  echo "setup: the tests need $packages" >&2
  exit 1
fi
echo "setup: installing $packages"
# An sshd is only there to be run by tests.
case "$packages" in *openssh-server*)
  echo "setup: masking ssh.service, so that no sshd is started (to have one: systemctl unmask ssh.service)"
  mkdir -p /etc/systemd/system
  for unit in ssh.service ssh.socket; do [ -e /etc/systemd/system/$unit ] || ln -s /dev/null /etc/systemd/system/$unit; done
  ;;
esac
apt-get -qq update
# shellcheck disable=SC2086 # one word a package
DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends $packages >/dev/null
packages=$(missing_packages | tr '\n' ' ')
[ -z "$packages" ] || { echo "setup: still missing after the installation: $packages" >&2; exit 1; }
