#!/bin/sh
# Holds the alerts against their unit cases with promtool: the one in the PATH, or the one in Debian's package, which is only
# unpacked, not installed.
set -eu
cd "$(dirname "$0")"

promtool=$(command -v promtool || true)
if [ -z "$promtool" ] && command -v apt-get >/dev/null && command -v dpkg >/dev/null; then
	folder=$(mktemp -d)
	trap 'rm -rf "$folder"' EXIT
	(cd "$folder" && apt-get download -q prometheus && dpkg -x prometheus_*.deb .) >"$folder/log" 2>&1 || cat "$folder/log" >&2
	promtool=$folder/usr/bin/promtool
fi
if ! [ -x "${promtool:-}" ]; then
	echo "install promtool, which comes with Prometheus (Debian, Ubuntu: apt-get install prometheus), and run this again" >&2
	exit 1
fi
"$promtool" check rules alerts.yaml
"$promtool" test rules alerts_test.yaml
