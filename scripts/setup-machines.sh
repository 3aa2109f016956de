#!/usr/bin/env bash
# What `npm run test:machines` needs besides: QEMU, and Debian's packages of which its machines are made, unpacked in
# /var/lib/godwit/machines: two kernels with their modules, and the programs of a system. Changes only what is missing;
# with the argument `update` the packages are got anew.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/machine.sh

machines=$state/machines
# What is different in here makes what was got by another version of this script of no use.
made=$(sha256sum scripts/setup-machines.sh | cut -d' ' -f1)
[ "$(id -u)" = 0 ] || stop "machines need a network of their own, which root makes" "run: sudo npm run test:machines"

missing_packages() {
  has qemu-system-x86_64 || echo qemu-system-x86
  has qemu-img || echo qemu-utils
  has cpio || echo cpio
  has socat || echo socat
  has depmod || echo kmod
  has unxz || echo xz-utils
  has mke2fs || has /sbin/mke2fs || echo e2fsprogs
}
packages=$(missing_packages | tr '\n' ' ')
if [ -n "$packages" ]; then
  is_debian || stop "missing: $packages" "this is not Debian or Ubuntu: install these by its own means, then run this again"
  # shellcheck disable=SC2086 # one word a package
  apt_install $packages
fi

# A Debian whose programs the machines have, and those of its own that a node needs.
system_suite=bookworm
system=(busybox-static bash dash coreutils util-linux mount iproute2 openssl gdb gdbserver kmod libstdc++6 procps socat)
criu_suite=forky
# NAME:SUITE: the kernel of that release for virtual machines.
kernels=(6.1:bookworm 6.12:trixie)

# Where /bin is a link to /usr/bin it stays one.
unpack() { dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"; }

get_system() {
  local root=$1/system link package
  mkdir -p "$root"/usr/{bin,sbin,lib,lib64}
  for link in bin sbin lib lib64; do ln -s "usr/$link" "$root/$link"; done
  debs_of $system_suite "$work/system" "${system[@]}"
  for package in "$work"/system/debs/*.deb; do unpack "$package" "$root"; done
  rm -rf "$root"/usr/share/{doc,man,locale,info,lintian}
}

# Beside the system's own libraries, as get-criu has it.
get_criu() {
  local prefix=$1/system$state/criu package loader
  mkdir -p "$prefix"/{root,bin}
  debs_of $criu_suite "$work/criu" criu
  for package in "$work"/criu/debs/*.deb; do dpkg-deb -x "$package" "$prefix/root"; done
  rm -rf "$prefix"/root/usr/share/{doc,man,locale}
  loader=$(cd "$prefix" && find root/usr/lib -name 'ld-linux-*.so.*' | head -n 1)
  cat >"$prefix/bin/criu" <<WRAPPER
#!/bin/sh
exec $state/criu/$loader --library-path $state/criu/root/usr/lib/$(uname -m)-linux-gnu $state/criu/root/usr/sbin/criu "\$@"
WRAPPER
  chmod 755 "$prefix/bin/criu"
}

get_kernel() {
  local name=$2 suite=$3 package
  apt_of "$suite" "$work/$name" apt-get update
  package=$(apt_of "$suite" "$work/$name" apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: *\(linux-image-[0-9].*\)/\1/p' | head -n 1)
  [ -n "$package" ] || stop "Debian $suite has no kernel for virtual machines"
  (cd "$work/$name" && apt_of "$suite" "$work/$name" apt-get download "$package")
  dpkg-deb -x "$work/$name/$package"_*.deb "$work/$name/root"
  mkdir -p "$1/kernels/$name/lib"
  mv "$work/$name"/root/boot/vmlinuz-* "$1/kernels/$name/vmlinuz"
  # In /lib in one release, in /usr/lib in another.
  mv "$(find "$work/$name/root" -type d -path '*/lib/modules')" "$1/kernels/$name/lib"
  # As busybox can load them.
  find "$1/kernels/$name" -name '*.ko.xz' -exec unxz {} +
  depmod -b "$1/kernels/$name" "$(ls "$1/kernels/$name/lib/modules")"
}

if [ "${1:-}" = update ] || [ "$(cat $machines/.made 2>/dev/null)" != "$made" ]; then
  is_debian || stop "the machines are made of Debian's packages, by apt-get and dpkg-deb" "run this on Debian or Ubuntu"
  rm -rf $machines
  mkdir -p $machines
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  say "getting the machines' programs: Debian $system_suite, CRIU of $criu_suite"
  get_system $machines
  get_criu $machines
  for kernel in "${kernels[@]}"; do
    say "getting the kernel ${kernel%:*} of Debian ${kernel#*:}"
    get_kernel $machines "${kernel%:*}" "${kernel#*:}"
  done
  echo "$made" >$machines/.made
fi
say "machines: kernels $(ls $machines/kernels | tr '\n' ' ')in $machines"
