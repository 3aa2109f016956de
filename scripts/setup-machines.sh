#!/usr/bin/env bash
# What `npm run test:machines` needs besides: QEMU, and what `godwit live build` makes images with.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/machine.sh

[ "$(id -u)" = 0 ] || stop "machines need a network of their own, which root makes" "run: sudo npm run test:machines"

missing_packages() {
  has qemu-system-x86_64 || echo qemu-system-x86
  has busybox && busybox udhcpd --help >/dev/null 2>&1 || echo busybox-static
  has mke2fs || has /sbin/mke2fs || echo e2fsprogs
  # As in agent/live/programs.ts.
  has mmdebstrap || echo mmdebstrap
  [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || echo debian-archive-keyring
  has depmod || has /sbin/depmod || echo kmod
  has xz || echo xz-utils
  has mksquashfs || echo squashfs-tools
  has cpio || echo cpio
  has grub-mkrescue || echo grub-common
  [ -d /usr/lib/grub/i386-pc ] || echo grub-pc-bin
  [ -d /usr/lib/grub/x86_64-efi ] || echo grub-efi-amd64-bin
  has mformat || echo mtools
  has xorriso || echo xorriso
}
packages=$(missing_packages | tr '\n' ' ')
if [ -n "$packages" ]; then
  is_debian || stop "missing: $packages" "this is not Debian or Ubuntu: install these by its own means, then run this again"
  # shellcheck disable=SC2086 # one word a package
  apt_install $packages
fi
say "machines: QEMU, and what makes images for it"
