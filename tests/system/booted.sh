#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Runs inside the container of boot.sh, as root, when it has booted. Ends at the first thing
# that isn't as it should be.
exec >/report 2>&1
set -eu
trap 'echo "FAILED at line $LINENO: $BASH_COMMAND"; journalctl -u sloth-agent --no-pager | tail -n 30' ERR

address=ipc:///run/sloth-agent/agent.sock

main_pid() {
	systemctl show sloth-agent -p MainPID --value
}

lua() {
	sloth exec here -a "here=$address" -o plain -e "$1"
}

# wait_until COMMAND...: for at most 20 s
wait_until() {
	for _ in $(seq 200); do
		"$@" && return 0
		sleep 0.1
	done
	echo "this did not come about: $*"
	return 1
}

status_says() {
	systemctl show sloth-agent -p StatusText --value | grep -q "$1"
}

restarted() {
	[ "$(main_pid)" != "$1" ] && systemctl is-active -q sloth-agent
}

echo 'installing starts the service, and it says what it is about'
dpkg -i /packages/*.deb >/dev/null
systemctl is-active sloth-agent
status_says 'jobs running: 0'

echo 'a task runs as root and can change the system'
lua 'return os.execute("test $(id -u) -eq 0 && touch /etc/by-task && rm /etc/by-task")'

echo 'main is killed: systemd starts it again'
before=$(main_pid)
kill -KILL "$before"
wait_until restarted "$before"

echo 'its loop hangs: the watchdog has it started again'
mkdir -p /run/systemd/system/sloth-agent.service.d
printf '[Service]\nWatchdogSec=1s\n' >/run/systemd/system/sloth-agent.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart sloth-agent
before=$(main_pid)
kill -STOP "$before"
wait_until restarted "$before"
rm -r /run/systemd/system/sloth-agent.service.d
systemctl daemon-reload
systemctl restart sloth-agent

echo 'a reload with a mistake changes nothing, and the journal says what it is'
before=$(main_pid)
mkdir /etc/sloth/agent.d
echo 'max_taks: 3' >/etc/sloth/agent.d/mistake.yaml
systemctl reload sloth-agent
said() {
	journalctl -u sloth-agent -p err --no-pager | grep -q "did you mean 'max_tasks'"
}
wait_until said
[ "$(main_pid)" = "$before" ]
rm -r /etc/sloth/agent.d

echo 'a stop lets a task finish'
lua 'goroutine.sleep(3000) return true, "drained"' &
task=$!
wait_until status_says 'jobs running: 1'
systemctl stop sloth-agent
wait $task

echo 'the locked profile: no privileges, nothing to write to'
mkdir -p /etc/systemd/system/sloth-agent.service.d
ln -s /usr/share/sloth-agent/profiles/locked.conf \
	/etc/systemd/system/sloth-agent.service.d/profile.conf
systemctl daemon-reload
systemctl restart sloth-agent
lua 'return os.execute("test $(id -un) = sloth-agent && touch /tmp/mine && ! touch /etc/by-task")'
rm -r /etc/systemd/system/sloth-agent.service.d
systemctl daemon-reload
systemctl restart sloth-agent
lua 'return os.execute("test $(id -u) -eq 0")'

echo 'an upgrade over the running agent, removal, purge'
dpkg -i /packages/sloth-agent_*.deb >/dev/null
systemctl is-active sloth-agent
dpkg --remove sloth-agent >/dev/null
[ -e /etc/sloth/agent.yaml ]
[ -e /var/lib/sloth-agent/local.key ]
dpkg --purge sloth-agent sloth >/dev/null 2>&1
left=$(find / -xdev -name '*sloth*' -not -path '/packages/*' -not -path '/proc/*' \
	-not -path '/var/log/journal/*')
[ -z "$left" ] || { echo "left behind: $left"; false; }
[ "$(systemctl --failed --no-legend | wc -l)" -eq 0 ]
echo 'all is well'
