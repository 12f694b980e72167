#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The packages on a real system: boots a Debian in a container, installs them there, and looks at
# what systemd makes of the agent.
#
#   tests/system/boot.sh DIRECTORY PACKAGE...
#
# Needs root, debootstrap and systemd-container; ends with 77 where that isn't there. DIRECTORY
# keeps the Debian for the next time.
set -eu

directory=$1
shift
[ "$(id -u)" -eq 0 ] || { echo "boot.sh: skipped: it needs root" >&2; exit 77; }
for program in debootstrap systemd-nspawn; do
	command -v "$program" >/dev/null ||
		{ echo "boot.sh: skipped: $program is not installed" >&2; exit 77; }
done

base=$directory/base
machine=$directory/machine
if [ ! -e "$base/ready" ]; then
	rm -rf "$base"
	mkdir -p "$directory"
	needed=$(for package in "$@"; do dpkg-deb -f "$package" Depends; done |
		tr ',' '\n' | sed 's/|.*//; s/(.*//; s/ //g' | grep '^lib' | sort -u | paste -sd,)
	debootstrap --variant=minbase --include="systemd,systemd-sysv,dbus,procps,$needed" \
		bookworm "$base" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" \
		>"$directory/debootstrap.log" 2>&1 ||
		{ echo "boot.sh: skipped: debootstrap failed, see $directory/debootstrap.log" >&2
		exit 77; }
	touch "$base/ready"
fi

rm -rf "$machine"
cp -a "$base" "$machine"
mkdir "$machine/packages"
cp "$@" "$machine/packages"
cp "$(dirname "$0")/booted.sh" "$machine/booted.sh"
cat >"$machine/etc/systemd/system/booted.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=idle
ExecStart=/bin/bash /booted.sh
ExecStopPost=/bin/systemctl poweroff --no-block
UNIT
ln -s ../booted.service "$machine/etc/systemd/system/multi-user.target.wants/booted.service"

timeout 300 systemd-nspawn -q --boot --register=no --keep-unit --private-network \
	-D "$machine" --console=pipe </dev/null >"$directory/console.log" 2>&1 || true
[ -e "$machine/report" ] ||
	{ echo "boot.sh: skipped: no container boots here, see $directory/console.log" >&2
	exit 77; }
cat "$machine/report"
grep -q '^all is well$' "$machine/report"
