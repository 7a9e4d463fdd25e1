#!/bin/sh
# Unpacks Debian's nginx for the tests behind a proxy, where none is installed. Nothing is installed or started.
# Usage: install_nginx.sh FOLDER
set -u
folder=$1
PATH=$PATH:/usr/sbin:/usr/local/sbin

works() { "$1" -v >/dev/null 2>&1; }

unpack() {
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
  [ "$(id -u)" = 0 ] && apt-get -qq update
  mkdir -p "$folder" && cd "$folder" || return 1
  for package in nginx nginx-light nginx-core; do  # which of them has the program depends on the release
    apt-get -qq download "$package" && dpkg-deb -x "$package"_*.deb . && works usr/sbin/nginx && return 0
  done
  return 1
}

works nginx || works "$folder/usr/sbin/nginx" && exit 0
echo "Unpacking Debian's nginx for the tests behind a proxy" >&2
unpack >/dev/null 2>&1 || echo "No nginx here: the tests behind it will be skipped" >&2
