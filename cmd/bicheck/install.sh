#!/bin/sh
# Sees to it that this machine has the BI clients that `make bi-check` runs. With --check it only looks.
set -eu

jar=/usr/share/java/postgresql.jar
packages="postgresql-client default-jdk-headless libpostgresql-jdbc-java odbc-postgresql python3-pyodbc libreoffice-calc libreoffice-base libreoffice-sdbc-postgresql python3-uno"

# missing prints what is not there. Python is the system's own, because that is the one that Debian's packages are for.
missing() {
	command -v psql >/dev/null || echo psql
	{ command -v java && java --list-modules | grep -q jdk.compiler; } >/dev/null 2>&1 || echo "a JDK"
	[ -r $jar ] || echo $jar
	/usr/bin/python3 -c 'import pyodbc; assert "PostgreSQL Unicode" in pyodbc.drivers()' 2>/dev/null || echo "ODBC with the driver PostgreSQL Unicode and pyodbc"
	command -v soffice >/dev/null || echo soffice
	/usr/bin/python3 -c 'import uno' 2>/dev/null || echo "the Python module uno"
	ls /usr/lib/libreoffice/program/libpostgresql-sdbc*.so >/dev/null 2>&1 || echo "the Postgres driver of LibreOffice"
}

# by_apt takes the system's packages, which only root may.
by_apt() {
	command -v apt-get >/dev/null || return 1
	sudo=
	if [ "$(id -u)" != 0 ]; then
		sudo -n true 2>/dev/null || return 1
		sudo=sudo
	fi
	$sudo apt-get update -q && $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $packages
}

lack=$(missing)
[ -n "$lack" ] || exit 0
if [ "${1:-}" != --check ]; then
	echo "missing here: $(echo "$lack" | paste -sd, -); installing" >&2
	by_apt >&2 && lack=$(missing) && [ -z "$lack" ] && exit
fi
echo "missing here: $(echo "$lack" | paste -sd, -); on Debian or Ubuntu: apt-get install $packages" >&2
exit 1
