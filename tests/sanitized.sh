#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs a test of a build that has a sanitizer: sanitized.sh PROGRAM [ARGUMENT...]
#
# What is found in whichever process of it is a failure, and its text is shown. Many of them are
# started by others, which look at neither their stderr nor how they end.
set -u
folder=$(mktemp -d "${TMPDIR:-/tmp}/sloth-reports.XXXXXX") || exit 99
trap 'rm -rf "$folder"' EXIT
chmod 1777 "$folder" # an agent gives up root
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}log_path=$folder/report"
export TSAN_OPTIONS="${TSAN_OPTIONS:+$TSAN_OPTIONS:}log_path=$folder/report"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}log_path=$folder/report"

status=0
"$@" || status=$?
for report in "$folder"/*; do
	[ -e "$report" ] || continue
	echo "a sanitizer found (${report##*/}):" >&2
	cat "$report" >&2
	status=1
done
exit "$status"
