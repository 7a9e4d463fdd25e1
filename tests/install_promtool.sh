#!/bin/sh
# Unpacks Debian's promtool for the tests of the alerts, where none is installed. Nothing is installed or started.
# Usage: install_promtool.sh FOLDER
set -u
folder=$1

works() { "$1" --version >/dev/null 2>&1; }

unpack() {
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
  [ "$(id -u)" = 0 ] && apt-get -qq update
  mkdir -p "$folder" && cd "$folder" || return 1
  apt-get -qq download prometheus && dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool || return 1
  rm prometheus_*.deb
  works usr/bin/promtool
}

works promtool || works "$folder/usr/bin/promtool" && exit 0
echo "Unpacking Debian's promtool for the tests of the alerts" >&2
unpack >/dev/null 2>&1 || echo "No promtool here: the tests of the alerts will be skipped" >&2
