#!/bin/sh
# Sees to it that this machine has a docker or podman that answers, for `make image-check`. With --check it only looks.
# podman also builds (with what buildah builds with), so buildah itself is not needed.
set -eu

packages="podman runc"
[ "$(id -u)" = 0 ] || packages="$packages uidmap fuse-overlayfs" # what podman needs to be nobody's root

present() {
	docker info >/dev/null 2>&1 || podman info >/dev/null 2>&1
}

# by_apt takes the system's package, which only root may.
by_apt() {
	command -v apt-get >/dev/null || return 1
	sudo=
	if [ "$(id -u)" != 0 ]; then
		sudo -n true 2>/dev/null || return 1
		sudo=sudo
	fi
	$sudo apt-get update -q && $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $packages
}

present && exit
if [ "${1:-}" != --check ]; then
	echo "no docker or podman that answers here; installing $packages" >&2
	by_apt >&2 && present && exit
fi
echo "start docker, or install podman (Debian, Ubuntu: apt-get install $packages), and run this again" >&2
exit 1
