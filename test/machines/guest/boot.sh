#!/bin/sh
# What busybox's init runs at boot.
mount -t proc proc /proc
mount -t sysfs sys /sys
mountpoint -q /dev || mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs run /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /run/control
read -r command_line </proc/cmdline
for word in $command_line; do case $word in host=*) hostname "${word#host=}" ;; esac; done
# shellcheck disable=SC2046 # a word each
modprobe -a $(cat /etc/modules)
ip link set lo up
ip link set eth0 up
# As a machine's own boot script does where there is no systemd; the address is there by then, or the agent finds it.
# As in control.sh.
export NODE_OPTIONS=--jitless
[ ! -e /etc/godwit/agent.json ] || godwit agent --start --no-service >/var/log/godwit-boot.log 2>&1 </dev/null &
