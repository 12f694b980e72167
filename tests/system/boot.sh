#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The packages on a real system: boots this very machine's files in a container, under an overlay
# that takes what is written, installs the packages there, and looks at what systemd makes of the
# agent.
#
#   tests/system/boot.sh DIRECTORY PACKAGE...
#
# Needs root and systemd-container; ends with 77 and says why where no container boots. DIRECTORY
# gets console.log, and report, what booted.sh said.
set -eu

skip() {
	echo "boot.sh: skipped: $*" >&2
	exit 77
}

[ "$(id -u)" -eq 0 ] || skip 'it needs root'
for program in systemd-nspawn systemctl unshare; do
	command -v "$program" >/dev/null || skip "$program is not installed"
done
# Mounts of a namespace of our own go with it, whatever ends us.
if [ -z "${SLOTH_BOOT_INSIDE-}" ]; then
	unshare --mount true 2>/dev/null || skip 'mount namespaces are not allowed here'
	SLOTH_BOOT_INSIDE=1 exec unshare --mount --propagation private "$0" "$@"
fi

mkdir -p "$1"
directory=$(cd "$1" && pwd)
shift
machine=$directory/machine
layers=$directory/layers
mkdir -p "$machine" "$layers"
rm -f "$directory/report"
mount -t tmpfs -o mode=755 tmpfs "$layers"
mkdir "$layers/upper" "$layers/work"
mount -t overlay -o "lowerdir=/,upperdir=$layers/upper,workdir=$layers/work" overlay "$machine" \
	2>/dev/null || skip 'no overlay can be mounted over / here'

# What stands in for a newer version.
newer() {
	dpkg-deb -R "$1" "$layers/newer"
	sed -i 's/^Version: .*/&+newer/' "$layers/newer/DEBIAN/control"
	dpkg-deb -b "$layers/newer" "$machine/packages/newer/" >/dev/null
}

mkdir -p "$machine/packages/newer"
cp "$@" "$machine/packages"
for package in "$@"; do
	case $package in */sloth-agent_*) newer "$package" ;; esac
done
cp "$(dirname "$0")/booted.sh" "$machine/booted.sh"
# What sloth-agent(8) says to type; scdoc writes a backslash for two.
awk -v dir="$machine/packages" '/^```/ { inside = !inside; n++; next }
	inside { gsub(/\\\\/, "\\"); print >(dir "/page." n) }' \
	"$(dirname "$0")/../../man/sloth-agent.8.scd"
systemd-id128 new >"$machine/etc/machine-id"
# The manual's index would be made anew at each step.
rm -f "$machine/var/lib/man-db/auto-update"
# Nothing but this is wanted of all that the machine may have.
ln -sf /dev/null "$machine/etc/systemd/system/timers.target"
cat >"$machine/etc/systemd/system/booted.service" <<'UNIT'
[Unit]
DefaultDependencies=no
Requires=basic.target
After=basic.target
[Service]
Type=oneshot
ExecStart=/bin/bash /booted.sh
ExecStopPost=/bin/systemctl poweroff --no-block
UNIT

timeout -k 10 300 systemd-nspawn -q --boot --register=no --keep-unit --private-network \
	--bind-ro="$layers/upper:/written" -D "$machine" --console=pipe -- --unit=booted.service \
	</dev/null >"$directory/console.log" 2>&1 || true
[ -e "$machine/report" ] || skip "no container boots here, see $directory/console.log"
cp "$machine/report" "$directory/report"
cat "$directory/report"
grep -q '^all is well$' "$directory/report"
