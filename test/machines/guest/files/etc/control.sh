#!/bin/sh
# Runs what the tests ask for, by a serial line: `ID SCRIPT`; answers `ID STATUS =STDOUT =STDERR`, texts in base64.
# Emulated, what is compiled while it runs is slower than what is interpreted: each write into code is expensive.
export NODE_OPTIONS=--jitless
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
line=/dev/ttyS1
[ -c $line ] || exit 1
stty -F $line raw -echo
mkdir -p /run/control
exec 3<>$line
echo ready >&3
encoded() { printf '='; base64 -w0 "$1"; }
while read -r id script <&3; do
  (
    files=/run/control/$id
    printf %s "$script" | base64 -d >"$files"
    sh "$files" >"$files.out" 2>"$files.err" </dev/null 3>&-
    printf '%s %s %s %s\n' "$id" $? "$(encoded "$files.out")" "$(encoded "$files.err")" >"$files.answer"
    # Answers of several at once go one after the other.
    flock /run/control/lock cat "$files.answer" >&3
    rm -f "$files" "$files".*
  ) &
done
