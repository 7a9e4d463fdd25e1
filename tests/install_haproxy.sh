#!/bin/sh
# Unpacks Debian's HAProxy for the tests of a cluster, where none is installed. Nothing is installed or started.
# Usage: install_haproxy.sh FOLDER
set -u
folder=$1
PATH=$PATH:/usr/sbin:/usr/local/sbin

works() { "$1" -v >/dev/null 2>&1; }

unpack() {
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
  [ "$(id -u)" = 0 ] && apt-get -qq update
  mkdir -p "$folder" && cd "$folder" || return 1
  # The libraries that Debian's build needs and that few machines have.
  for package in haproxy liblua5.3-0 libopentracing-c-wrapper0 libopentracing1; do
    apt-get -qq download "$package" && dpkg-deb -x "$package"_*.deb . && rm "$package"_*.deb
  done
  libraries=$(dirname "$(find "$PWD/usr/lib" -name 'liblua5.3.so.0' | head -n 1)")
  printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s/usr/sbin/haproxy "$@"\n' "$libraries" "$PWD" >haproxy
  chmod 755 haproxy
  works ./haproxy
}

works haproxy || works "$folder/haproxy" && exit 0
echo "Unpacking Debian's HAProxy for the tests of a cluster" >&2
unpack >/dev/null 2>&1 || echo "No HAProxy here: the tests behind it will be skipped" >&2
