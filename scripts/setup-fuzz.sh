#!/usr/bin/env bash
# What `npm run fuzz` needs besides: a clang with libFuzzer. Changes only what is missing.
set -euo pipefail

serves() {
  command -v clang >/dev/null &&
    echo 'int LLVMFuzzerTestOneInput(const char *a, unsigned long b) { return a && b ? 0 : 0; }' |
    clang -fsanitize=fuzzer,address -x c - -o /dev/null 2>/dev/null
}

serves && exit 0
if ! command -v apt-get >/dev/null; then
  echo "setup: fuzzing needs clang with libFuzzer (compiler-rt)" >&2
  exit 1
fi
echo "setup: installing clang with libFuzzer"
apt-get -qq update
compiler=$(apt-cache depends clang | sed -n 's/^ *Depends: \(clang-[0-9]*\)$/\1/p')
DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends \
  clang "libclang-rt-${compiler#clang-}-dev" >/dev/null
serves || { echo "setup: clang is there, libFuzzer is not" >&2; exit 1; }
