#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# HAProxy and nginx (with its module "stream") for the tests, new enough to take what headers carry: this machine's own, or
# Debian's in .cache/proxies with all that they need. Nothing is installed: the packages would start services.
# Exit code 3: they cannot be had here; .cache/proxies/missing says why.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=$PWD/.cache/proxies
packages=(haproxy nginx libnginx-mod-stream)
suite=trixie
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
# fc_pp_tlv; $proxy_protocol_tlv_, and in "stream" a header of more than 107 bytes.
haproxy_least=2.9
nginx_least=1.23.2

. scripts/missing.sh

# new_enough LEAST VERSION
new_enough() { [[ $(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1) == "$1" ]]; }

# choose ROOT: what to run of that tree goes to $out/paths, as KEY=WORDS; fails, and says why, where that is not all of it.
choose() {
  local root=$1 run='' version work path stream=''
  if [[ $root ]]; then
    local loader libraries
    loader=$(find "$root" -name 'ld-linux*.so.*' -print -quit)
    libraries=$(find "$root"/usr/lib* -name '*.so.*' -printf '%h\n' | sort -u | paste -sd:)
    # Built for another Debian than this may be: they bring their own C library.
    run="$loader --library-path $libraries "
  fi
  for path in "$root"/usr/{lib,lib64,libexec}/nginx/modules/ngx_stream_module.so; do
    [[ -e $path ]] && stream=$path
  done
  [[ -x $root/usr/sbin/haproxy && -x $root/usr/sbin/nginx && $stream ]] || {
    echo 'HAProxy, nginx or its module "stream" is not installed'
    return 1
  }
  version=$($run "$root/usr/sbin/haproxy" -v 2>&1 | sed -n 's/^HAProxy version \([0-9.]*\).*/\1/p')
  new_enough "$haproxy_least" "${version:-0}" || {
    echo "HAProxy ${version:-that does not run} is not $haproxy_least or newer"
    return 1
  }
  version=$($run "$root/usr/sbin/nginx" -v 2>&1 | sed -n 's/.*nginx\/\([0-9.]*\).*/\1/p')
  new_enough "$nginx_least" "${version:-0}" || {
    echo "nginx ${version:-that does not run} is not $nginx_least or newer"
    return 1
  }
  work=$(mktemp -d)
  printf 'load_module %s;\npid %s/pid;\nevents {}\nstream {}\n' "$stream" "$work" > "$work/test.conf"
  # A module is for one build of nginx.
  if ! $run "$root/usr/sbin/nginx" -t -q -c "$work/test.conf" -e "$work/log" > "$work/said" 2>&1; then
    tail -n 1 "$work/said"
    rm -r "$work"
    return 1
  fi
  rm -r "$work"
  printf '%s\n' "haproxy=$run$root/usr/sbin/haproxy" "nginx=$run$root/usr/sbin/nginx" "stream=$stream" > "$out/paths"
  rm -f "$out/missing"
}

[[ -d $out/root ]] && choose "$out/root" > /dev/null && exit 0
mkdir -p "$out"
why=$(choose '') && exit 0
((EUID == 0)) || give_up "$why, and only root can ask apt-get for them"
command -v apt-get > /dev/null || give_up "$why, and this machine has no apt-get"
[[ -e $keyring ]] || give_up "$why, and this machine does not know Debian's signatures ($keyring)"

# The mirror that this machine uses.
mirror=$(apt-get --print-uris update 2> /dev/null | sed -n "s#^'\(.*/debian\)/dists/.*#\1#p" | sort -u | sed -n 1p || true)
[[ -n $mirror ]] || give_up "$why, and apt's sources name no mirror of Debian"

say "fetching ${packages[*]} of Debian $suite"
rm -rf "$out"
mkdir -p "$out"/apt/{lists,archives}/partial "$out/root"
# An apt of its own: what this machine installs, and where from, stays as it is.
apt=$out/apt
echo "deb [signed-by=$keyring] $mirror $suite main" > "$apt/sources"
: > "$apt/status"
options=(-q -y -o "Dir::Etc::SourceList=$apt/sources" -o Dir::Etc::SourceParts=/dev/null -o Dir::Etc::Preferences=/dev/null
  -o Dir::Etc::PreferencesParts=/dev/null -o "Dir::State=$apt" -o "Dir::State::Lists=$apt/lists" -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt"
  -o "Dir::Cache::archives=$apt/archives" -o Acquire::Languages=none -o APT::Sandbox::User=root -o Acquire::Retries=3
  -o APT::Update::Error-Mode=any)
apt-get "${options[@]}" update > "$apt/said" 2>&1 &&
  apt-get "${options[@]}" install --download-only --no-install-recommends "${packages[@]}" >> "$apt/said" 2>&1 ||
  give_up "$why, and apt-get cannot fetch Debian's: $(tail -n 1 "$apt/said")"
for package in "$apt"/archives/*.deb; do
  dpkg-deb -x "$package" "$out/root" || give_up "$(basename "$package") cannot be unpacked"
done
rm -r "$apt"
why=$(choose "$out/root") || give_up "Debian's do not run here: $why"
