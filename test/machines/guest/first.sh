#!/bin/busybox sh
# The first program of a guest, in its kernel's memory: loads what the disk needs and goes on there.
/bin/busybox mkdir -p /proc /dev /disk
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
for module in $(/bin/busybox cat /modules/order); do /bin/busybox insmod "/modules/$module"; done
# The disk comes up a moment after its driver.
until [ -b /dev/vda ]; do /bin/busybox sleep 0.1; done
/bin/busybox mount -t ext4 /dev/vda /disk || { echo "no disk" >/dev/console; exit 1; }
/bin/busybox umount /proc /dev
exec /bin/busybox switch_root /disk /sbin/init
