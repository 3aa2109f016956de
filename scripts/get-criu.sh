#!/usr/bin/env bash
# In the Debian package /usr/lib/godwit/get-criu: a CRIU that serves on this kernel, as the set-up of the sources gets it.
# Changes only what is missing; with the argument `update` the CRIU in a folder of its own is got anew.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"

. ./machine.sh
had=
[ ! -e $state/criu ] || had=1
[ "$(id -u)" = 0 ] || stop "CRIU is tried out, for which it needs root" "run the same with sudo"
. ./setup-criu.sh
# What was got for the package goes with it.
[ -n "$had" ] || [ ! -e "$criu_folder" ] || touch "$criu_folder/.of-package"
