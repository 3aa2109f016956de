#!/usr/bin/env bash
# What `npm run test:slurm` needs besides: Slurm's daemons and commands, and munge. None of them is started, here or at a
# boot. Changes only what is missing.
set -euo pipefail

missing_packages() {
  [ -x /usr/sbin/slurmctld ] || echo slurmctld
  [ -x /usr/sbin/slurmd ] || echo slurmd
  command -v squeue >/dev/null || echo slurm-client
  [ -x /usr/sbin/munged ] || echo munge
}

packages=$(missing_packages | tr '\n' ' ')
[ -n "$packages" ] || exit 0
if ! command -v apt-get >/dev/null; then
  echo "setup: the tests with Slurm need $packages" >&2
  exit 1
fi
echo "setup: installing $packages (masked, so that none of them is started)"
mkdir -p /etc/systemd/system
for unit in slurmctld slurmd munge; do
  [ -e /etc/systemd/system/$unit.service ] || ln -s /dev/null /etc/systemd/system/$unit.service
done
apt-get -qq update
# shellcheck disable=SC2086 # one word a package
DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends $packages >/dev/null
packages=$(missing_packages | tr '\n' ' ')
[ -z "$packages" ] || { echo "setup: still missing after the installation: $packages" >&2; exit 1; }
