#!/bin/sh
# Makes sure that there is a Chromium for the browser tests: one that is installed, else Debian's, else Playwright's.
# Usage: install_chromium.sh PYTHON (of the virtual environment)
set -u
python=$1

found() {
  path=$("$python" -c 'from tests.support.helpers import chromium_path; print(chromium_path() or "")') || return 1
  [ -n "$path" ] && "$path" --version >/dev/null 2>&1
}

install_debian() {
  # Ubuntu's package of that name only points to a snap, which containers do not run.
  command -v apt-get >/dev/null && ! grep -q '^ID=ubuntu' /etc/os-release || return 1
  if [ "$(id -u)" = 0 ]; then sudo=; elif sudo -n true 2>/dev/null; then sudo="sudo -n"; else return 1; fi
  echo "Installing Debian's chromium for the browser tests" >&2
  $sudo apt-get -qq update && DEBIAN_FRONTEND=noninteractive $sudo apt-get -qq install -y --no-install-recommends chromium
}

install_playwright() {
  echo "Downloading Playwright's Chromium for the browser tests"
  if [ "$(id -u)" = 0 ]; then "$python" -m playwright install --with-deps chromium
  else "$python" -m playwright install chromium; fi
}

found && exit 0
install_debian >/dev/null && found && exit 0
install_playwright && found && exit 0
echo "The browser tests need a Chromium, and none could be found or installed." >&2
echo "Install chromium or google-chrome, or name one with CHROMIUM_PATH=/path/to/chrome." >&2
exit 1
