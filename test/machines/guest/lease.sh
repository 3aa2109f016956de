#!/bin/sh
# What udhcpc runs when a lease is given, renewed or lost.
case $1 in
  deconfig) ip -4 address flush dev "$interface" ;;
  bound | renew)
    ip -4 -o address show dev "$interface" | grep -q " $ip/" || {
      ip -4 address flush dev "$interface"
      ip address add "$ip/$mask" broadcast + dev "$interface"
    }
    ;;
esac
