#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the Kubernetes API server of the interop tests (test/kube) into .cache/kube, which is kept until its sources change, with the
# resource definitions of the Gateway API and of Istio beside it. Cold it takes some 6 minutes of one core. Exit code 3: it cannot be
# built here; .cache/kube/missing says why.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

source=test/kube
out=.cache/kube

. scripts/missing.sh

stamp=$(find "$source" test/istiod/go.mod scripts/build-kube.sh -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1)
[[ -x $out/kube-harness && $(cat "$out/stamp" 2> /dev/null) == "$stamp" ]] && exit 0

. scripts/go.sh

# folder_of MODULE: where its files are, at the version that test/istiod is built with.
folder_of() {
  (cd test/istiod && "$go" mod download -json "$1" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
}

say 'building (some 6 minutes of one core the first time)'
rm -rf "$out"
mkdir -p "$out"
(cd "$source" && CGO_ENABLED=0 "$go" build -trimpath -ldflags '-s -w' -o "$OLDPWD/$out/" .) || give_up 'go build failed'
gateway_api=$(folder_of sigs.k8s.io/gateway-api) && istio=$(folder_of istio.io/istio) || give_up 'resource definitions could not be fetched'
for file in "$gateway_api"/config/crd/standard/gateway.networking.k8s.io_*s.yaml "$istio"/manifests/charts/base/files/crd-all.gen.yaml; do
  cat "$file"
  echo '---'
done > "$out/definitions.yaml"
echo "$stamp" > "$out/stamp"
