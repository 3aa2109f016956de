#!/bin/sh
# guard.sh FOLDER [COMMAND [ARG...]]
# Waits for the end of its standard input: then its parent is done, or has died in some way. It runs the command, ends
# all processes whose TMPDIR is the folder, and removes the folder.
folder=$1
shift
cat >/dev/null
[ $# = 0 ] || "$@" >/dev/null 2>&1

signal() {
  found=1
  for process in /proc/[0-9]*; do
    if grep -qszxF "TMPDIR=$folder" "$process/environ"; then
      kill -"$1" "${process#/proc/}" 2>/dev/null && found=0
    fi
  done
  return $found
}

# Two seconds for those who want to say good-bye.
for _ in 1 2 3 4 5 6 7 8 9 10; do
  signal TERM || break
  sleep 0.2
done
for _ in 1 2 3 4 5 6 7 8 9 10; do
  signal KILL || break
  sleep 0.2
done
# One that is just ending may still write.
rm -rf "$folder" || { sleep 0.5; rm -rf "$folder"; }
