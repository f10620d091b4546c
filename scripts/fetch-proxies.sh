#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fetches Debian's HAProxy and nginx (with its module "stream") for the tests into .cache/proxies. Nothing is installed: the
# packages would start services. What this machine has already is used where it is.
# Exit code 3: they cannot be had here; .cache/proxies/missing says why.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=.cache/proxies
packages=(haproxy nginx libnginx-mod-stream)

say() { echo "proxies: $*"; }
# give_up REASON: the tests will say it.
give_up() {
  rm -rf "$out"
  mkdir -p "$out"
  echo "$*" > "$out/missing"
  say "$*"
  exit 3
}

# first PATH…: the first of them that is there.
first() {
  local path
  for path in "$@"; do
    if [[ -e $path ]]; then
      realpath "$path"
      return
    fi
  done
  return 1
}

# choose: writes what to use into $out/paths, as KEY=PATH; fails where a part is missing or does not run with the others.
choose() {
  local haproxy nginx stream
  haproxy=$(first "$out"/root/usr/sbin/haproxy /usr/sbin/haproxy) || return 1
  nginx=$(first "$out"/root/usr/sbin/nginx /usr/sbin/nginx) || return 1
  stream=$(first {"$out/root",}/usr/lib/nginx/modules/ngx_stream_module.so) || return 1
  libraries=$(find "$PWD/$out/root/usr/lib" "$PWD/$out/root/lib" -name '*.so.*' -printf '%h\n' 2> /dev/null | sort -u | paste -sd:) || true
  LD_LIBRARY_PATH=$libraries "$haproxy" -v > "$out/haproxy-version" 2>&1 || return 1
  LD_LIBRARY_PATH=$libraries "$nginx" -v > "$out/nginx-version" 2>&1 || return 1
  local work
  work=$(mktemp -d)
  # A module is for one build of nginx.
  printf 'load_module %s;\npid %s/pid;\nevents {}\nstream {}\n' "$stream" "$work" > "$work/test.conf"
  LD_LIBRARY_PATH=$libraries "$nginx" -t -q -c "$work/test.conf" -e "$work/log" > "$work/said" 2>&1 || {
    tail -n 1 "$work/said"
    rm -r "$work"
    return 1
  }
  rm -r "$work"
  printf '%s\n' "haproxy=$haproxy" "nginx=$nginx" "stream=$stream" "libraries=$libraries" > "$out/paths"
}

mkdir -p "$out"
if choose > /dev/null; then
  rm -f "$out/missing"
  exit 0
fi
((EUID == 0)) || give_up 'HAProxy, nginx and its module "stream" are not installed, and only root can ask apt-get for them'
command -v apt-get > /dev/null || give_up 'HAProxy, nginx and its module "stream" are not installed, and this machine has no apt-get'

say "fetching ${packages[*]}"
rm -rf "$out"
mkdir -p "$out/packages/partial"
# With everything that they need and this machine lacks.
download() {
  apt-get install -y -q --download-only --no-install-recommends -o "Dir::Cache::archives=$PWD/$out/packages" \
    -o APT::Sandbox::User=root "${packages[@]}" > /dev/null 2>&1
}
download || {
  apt-get update -q > /dev/null 2>&1 || true
  download || give_up "apt-get cannot fetch ${packages[*]}"
}
mkdir "$out/root"
for package in "$out"/packages/*.deb; do
  [[ -e $package ]] || continue
  dpkg-deb -x "$package" "$out/root" || give_up "$(basename "$package") cannot be unpacked"
done
rm -r "$out/packages"
why=$(choose) || give_up "they do not run here: ${why:-$(cat "$out"/*-version 2> /dev/null | tail -n 1)}"
