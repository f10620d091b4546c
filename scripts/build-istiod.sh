#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the istiod of the interop tests (test/istiod) into .cache/istiod, which is kept until its sources change. Cold it takes
# about 6 minutes of one core, most of it istio itself. Exit code 3: it cannot be built here; .cache/istiod/missing says why.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

source=test/istiod
out=.cache/istiod

. scripts/missing.sh

stamp=$(cd "$source" && find . -type f \( -name '*.go' -o -name 'go.*' \) -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1)
[[ -x $out/istiod-harness && -x $out/ztunnel-config && $(cat "$out/stamp" 2> /dev/null) == "$stamp" ]] && exit 0

. scripts/go.sh

say 'building (about 6 minutes of one core the first time)'
rm -rf "$out"
mkdir -p "$out"
(cd "$source" && "$go" build -tags vtprotobuf,disable_pgv -trimpath -ldflags '-s -w' -o "$OLDPWD/$out/" . ./ztunnel-config) ||
  give_up 'go build failed'
echo "$stamp" > "$out/stamp"
