#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Everything that must hold, cheapest first. Every stage runs; the last line counts the tests of all of them.
# Usage: test.sh [STAGE…] runs only those. scripts/setup.sh has made the machine ready.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
failed=()
only=" $* "

# stage NAME COMMAND…: runs it, says how long it took, remembers a failure.
stage() {
  local name=$1 started=$EPOCHREALTIME status=0
  shift
  [[ $only == '  ' || $only == *" $name "* ]] || return 0
  echo
  echo "== $name"
  "$@" || status=$?
  local micros=$((${EPOCHREALTIME/[.,]/} - ${started/[.,]/}))
  if ((status == 0)); then
    printf -- '-- %s: ok in %d.%01d s\n' "$name" $((micros / 1000000)) $((micros / 100000 % 10))
  else
    printf -- '-- %s: FAILED (exit %d) after %d.%01d s\n' "$name" "$status" $((micros / 1000000)) $((micros / 100000 % 10))
    failed+=("$name")
  fi
}

bin() {
  local tool=$1
  shift
  "node_modules/.bin/$tool" "$@"
}
# tests NAME ARGUMENTS…: a vitest run whose counts go into the last line.
tests() {
  local name=$1
  shift
  bin vitest run --reporter=default --reporter=json --outputFile.json="$results/$name.json" "$@"
}
have_tests() { [[ -n $(find "$1" -name '*.test.ts' -print -quit 2> /dev/null) ]]; }

lint() { bin biome check --error-on-warnings . && bin knip; }

stage typecheck bin tsc --noEmit
stage lint lint
stage rules tests rules --project rules
stage unit tests unit --project unit
stage generated node dist/gen.js --check
stage bpf node scripts/build-bpf.mjs
stage kernel tests kernel --project kernel
if have_tests test/interop; then stage interop tests interop --project interop; fi
stage budget node scripts/budget.mjs

echo
((${#failed[@]} == 0)) || echo "failed: ${failed[*]}"
status=0
node scripts/tally.mjs "$results" || status=1
((${#failed[@]} == 0)) || status=1
exit $status
