# SPDX-License-Identifier: Apache-2.0
# Sourced by the scripts that get what some tests need into the folder `out`, whose name is also what they are called.

# say WORDS: where this comes from, and what it is.
say() { echo "${out##*/}: $*"; }

# give_up REASON: ends the script with exit code 3. The tests that are skipped for it say the reason.
give_up() {
  rm -rf "$out"
  mkdir -p "$out"
  echo "$*" > "$out/missing"
  say "$*"
  exit 3
}
