#!/bin/sh
# Sees to it that this machine has what `make runbook-check` runs: PgBouncer and the clients of Postgres. With --check it only looks.
set -eu

packages="pgbouncer postgresql-client"

missing() {
	command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ] || echo pgbouncer
	for client in psql createdb pg_dump pg_restore; do
		command -v $client >/dev/null || echo $client
	done
}

# by_apt takes the system's packages, which only root may. That of PgBouncer would also start one, which nobody asked for.
by_apt() {
	command -v apt-get >/dev/null || return 1
	sudo=
	if [ "$(id -u)" != 0 ]; then
		sudo -n true 2>/dev/null || return 1
		sudo=sudo
	fi
	$sudo apt-get update -q && $sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -q -y --no-install-recommends $packages
}

lack=$(missing)
[ -n "$lack" ] || exit 0
if [ "${1:-}" != --check ]; then
	echo "missing here: $(echo "$lack" | paste -sd, -); installing" >&2
	by_apt >&2 && lack=$(missing) && [ -z "$lack" ] && exit
fi
echo "missing here: $(echo "$lack" | paste -sd, -); on Debian or Ubuntu: apt-get install $packages; macOS: brew install pgbouncer libpq" >&2
exit 1
