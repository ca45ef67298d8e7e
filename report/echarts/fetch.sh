#!/bin/sh
# Gets Apache ECharts (Apache-2.0) from npm and lays it beside this file, where
# the report takes it from; it is no code of ours and stays out of the
# repository. The same bytes always, or nothing. Where it cannot be had the
# program builds all the same and its report has no charts; that is said, and
# with --strict it is a failure.
set -eu
strict=${1:-}
version=6.1.0
sum=b66b25aeb4df84e33199dc21694014d336d222cbd9deb0e5a7c14bd6aa0d0fd0
cd "$(dirname "$0")"

check() {
	if command -v sha256sum >/dev/null; then
		echo "$sum  $1" | sha256sum -c - >/dev/null 2>&1
	else
		echo "$sum  $1" | shasum -a 256 -c - >/dev/null 2>&1
	fi
}

missing() {
	echo "$1: the report is built without charts" >&2
	if [ "$strict" = --strict ]; then exit 1; fi
	exit 0
}

[ -f LICENSE ] && [ -f LICENSE-d3 ] && [ -f NOTICE ] && check echarts.min.js && exit
command -v npm >/dev/null || missing "there is no npm here to get ECharts with"
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
npm pack "echarts@$version" --pack-destination "$temp" --silent --fetch-retries=1 --no-update-notifier >/dev/null 2>&1 ||
	missing "npm does not give ECharts $version"
tar -xzf "$temp/echarts-$version.tgz" -C "$temp" package/LICENSE package/licenses/LICENSE-d3 package/NOTICE package/dist/echarts.min.js
check "$temp/package/dist/echarts.min.js" || missing "ECharts $version from npm is not what was checked"
cp "$temp/package/LICENSE" "$temp/package/licenses/LICENSE-d3" "$temp/package/NOTICE" .
mv "$temp/package/dist/echarts.min.js" . # last: others may build meanwhile
echo "ECharts $version, from npm" >&2
