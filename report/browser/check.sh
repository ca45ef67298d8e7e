#!/bin/sh
# Looks at reports in a real browser: check.sh PICTURES FILE.html… The browser is
# the machine's, or Debian's chromium, installed here if need be; what steers it
# comes from npm, into a cache of its own.
set -eu
if [ "$(uname)" = Darwin ]; then
	cache=$HOME/Library/Caches
else
	cache=${XDG_CACHE_HOME:-$HOME/.cache}
fi
cache=$cache/simusage/browser

browser() {
	command -v "${SIMUSAGE_BROWSER:-chromium}" || command -v chromium-browser || command -v google-chrome ||
		ls "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" 2>/dev/null
}

install() {
	command -v apt-get >/dev/null || return 1
	sudo=
	if [ "$(id -u)" != 0 ]; then
		sudo -n true 2>/dev/null || return 1
		sudo=sudo
	fi
	$sudo apt-get update -q >&2 || return 1
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends chromium fonts-dejavu-core >&2
}

browser >/dev/null || install || {
	echo "install a browser (Debian, Ubuntu: apt-get install chromium), or set SIMUSAGE_BROWSER" >&2
	exit 1
}
[ -d "$cache/node_modules/playwright-core" ] || npm install --prefix "$cache" --no-save --no-audit --no-fund --no-update-notifier \
	--ignore-scripts --loglevel=error playwright-core@1.65.1 >&2
mkdir -p "$1"
NODE_PATH=$cache/node_modules node "$(dirname "$0")/check.js" "$(browser)" "$@"
