#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Runs inside the container of boot.sh, as root, when it has booted. Ends at the first thing
# that isn't as it should be.
exec >/report 2>&1
set -eEu
trap 'echo "FAILED at line $LINENO: $BASH_COMMAND"; journalctl -u sloth-agent --no-pager | tail -n 30' ERR

address=ipc:///run/sloth-agent/agent.sock

say() {
	echo "$SECONDS s: $*"
}

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

# field PID NAME: of /proc/PID/status
field() {
	sed -n "s/^$2:\t*//p" "/proc/$1/status"
}

# What was written since the machine booted, but for what lives in logs and caches. Who has been a
# user stays one, as files may still be theirs.
written() {
	(cd /written && find . \( -path ./var/log -o -path ./var/cache -o -path ./var/lib/dpkg \) \
		-prune -o \( ! -type d -o -name '*sloth*' \) -print) |
		grep -vE '^./etc/((passwd|group|g?shadow)-?|\.pwd\.lock)$' | sort
}

# Images for containers forbid packages to start what they install.
rm -f /usr/sbin/policy-rc.d
written >/tmp/written.before

say 'installing starts the service, and it says what it is about'
dpkg -i /packages/*.deb >/dev/null
systemctl is-active sloth-agent
status_says 'jobs running: 0'

say 'main is sloth-agent, with no privilege left'
user=$(id -u sloth-agent)
[ "$(field "$(main_pid)" Uid | tr '\t' ' ')" = "$user $user $user $user" ]
for sets in CapInh CapPrm CapEff CapAmb; do
	[ "$((16#$(field "$(main_pid)" $sets)))" -eq 0 ]
done
owners() {
	stat -c %U:%a /var/lib/sloth-agent /var/lib/sloth-agent/local.key | xargs
}
[ "$(owners)" = 'sloth-agent:700 sloth-agent:600' ]
# As it is where the agent itself was root before.
chown -R root: /var/lib/sloth-agent
systemctl restart sloth-agent
[ "$(owners)" = 'sloth-agent:700 sloth-agent:600' ]

timestamp() {
	systemctl show sloth-agent -p "$1TimestampMonotonic" --value
}
rss() {
	sed -n 's/VmRSS:[[:space:]]*//p' "/proc/$1/status"
}
spawner=$(pgrep -P "$(main_pid)")
say "ready after $((($(timestamp ActiveEnter) - $(timestamp ExecMainStart)) / 1000)) ms;" \
	"resident: main $(rss "$(main_pid)"), spawner $(rss "$spawner")," \
	"idle worker $(rss "$(pgrep -P "$spawner" | head -n 1)")"

say 'a task runs as root and can change the system'
lua 'return os.execute[[test $(id -u) -eq 0 && test $HOME = /root && touch /etc/by-task &&
	rm /etc/by-task]]'

say 'a controller on another machine: its key, a forwarded port, a workflow'
cat >/etc/sloth/agent.yaml.new <<-'YAML'
	user: sloth-agent
	listen: [ipc:///run/sloth-agent/agent.sock, tcp://127.0.0.1:7117]
	metrics: ipc:///run/sloth-agent/metrics.sock
YAML
cp -p /etc/sloth/agent.yaml /etc/sloth/agent.yaml.packaged
cp /etc/sloth/agent.yaml.new /etc/sloth/agent.yaml
rm /etc/sloth/agent.yaml.new
systemctl restart sloth-agent
unshare --net sleep 1000 &
other=$!
ip link set lo up
ip link add here type veth peer name there netns $other
ip address add 10.77.0.1/24 dev here
ip link set here up
there() {
	nsenter --net --target $other "$@"
}
there ip link set lo up
there ip address add 10.77.0.2/24 dev there
there ip link set there up
# Until it encrypts, the agent listens on loopback, and what ssh -L does elsewhere brings it here.
systemd-run -q --unit=forward --socket-property=ListenStream=10.77.0.1:7117 \
	/lib/systemd/systemd-socket-proxyd 127.0.0.1:7117
cat >/tmp/workflow.sloth <<-'LUA'
	task("far"):command(function(this)
	  local group = goroutine.wait_group()
	  for i = 1, 10 do group:add(1) goroutine.spawn(function() group:done() end) end
	  group:wait()
	  return true, "from afar", { user = this.user }
	end):delegate_to("here"):build()
LUA
there sloth keygen /tmp/far.key -c far
from_afar() {
	there sloth run /tmp/workflow.sloth -a here=tcp://10.77.0.1:7117 --key-file /tmp/far.key
}
if from_afar; then echo 'a key that nobody knows was let in'; false; fi
cat /tmp/far.key.pub >>/etc/sloth/authorized_keys
from_afar | grep -q 'from afar'
sh -e "$(grep -l metrics.sock /packages/page.*)" 2>/dev/null | grep -q '^sloth_agent_jobs{state="done"} 1$'
kill $other
systemctl stop forward.socket
rm /etc/sloth/authorized_keys
mv /etc/sloth/agent.yaml.packaged /etc/sloth/agent.yaml
systemctl restart sloth-agent

say 'the journal has the fields of the task'
fields() {
	journalctl -u sloth-agent -o json --no-pager "$@"
}
fields TASK=far "CONTROLLER=sloth@$(hostname) (far)" MESSAGE_ID=a4629bb923004ffe8c4431701df21366 >/tmp/started
fields TASK=far STATE=done MESSAGE_ID=e449ebc665b0445a8fc0baebaf5bcf4a >/tmp/ended
[ "$(wc -l </tmp/started) $(wc -l </tmp/ended)" = '1 1' ]
job=$(sed -n 's/.*"JOB_ID":"\([0-9a-f]*\)".*/\1/p' /tmp/ended)
[ "${#job}" -eq 32 ]
[ "$(fields JOB_ID="$job" | wc -l)" -eq 2 ]
grep -q '"PRIORITY":"6"' /tmp/ended
grep -q '"SYSLOG_IDENTIFIER":"sloth-agent"' /tmp/ended
[ -n "$(fields MESSAGE_ID=8f9007f6130b471ba56f4f7a878847f9)" ]
sh -e "$(grep -l 'journalctl -u sloth-agent TASK=' /packages/page.*)" >/dev/null

say 'a journal that hangs holds up no task, and misses nothing afterwards'
cat >/tmp/many.sloth <<-'LUA'
	for i = 1, 400 do
	  task("many-" .. i):command(function() return true end):delegate_to("here"):build()
	end
LUA
many_ended() {
	[ "$(fields MESSAGE_ID=e449ebc665b0445a8fc0baebaf5bcf4a | grep -c '"TASK":"many-')" -eq 400 ]
}
journald=$(systemctl show systemd-journald -p MainPID --value)
kill -STOP "$journald"
timeout 60 sloth run /tmp/many.sloth -a "here=$address" -q || { kill -CONT "$journald"; false; }
kill -CONT "$journald"
wait_until many_ended

say 'main is killed: systemd starts it again'
before=$(main_pid)
kill -KILL "$before"
wait_until restarted "$before"

say 'its spawner is killed: the same'
before=$(main_pid)
kill -KILL "$(pgrep -P "$before")"
wait_until restarted "$before"
lua 'return os.execute("test $(id -u) -eq 0")'

say 'its loop hangs: the watchdog has it started again'
mkdir -p /run/systemd/system/sloth-agent.service.d
printf '[Service]\nWatchdogSec=1s\n' >/run/systemd/system/sloth-agent.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart sloth-agent
before=$(main_pid)
kill -STOP "$before"
wait_until restarted "$before"
say 'its spawner hangs: the same'
before=$(main_pid)
kill -STOP "$(pgrep -P "$before")"
wait_until restarted "$before"
rm -r /run/systemd/system/sloth-agent.service.d
systemctl daemon-reload
systemctl restart sloth-agent

say 'a reload with a mistake changes nothing, and the journal says what it is'
before=$(main_pid)
mkdir /etc/sloth/agent.d
echo 'max_taks: 3' >/etc/sloth/agent.d/mistake.yaml
systemctl reload sloth-agent
said() {
	fields -p err MESSAGE_ID=169c7d11d3e74d3ea645cf090703fa27 |
		grep -q "did you mean 'max_tasks'"
}
wait_until said
[ "$(main_pid)" = "$before" ]
rm -r /etc/sloth/agent.d

say 'a start with a mistake is no loop'
printf 'max_taks: 3\n' >>/etc/sloth/agent.yaml
if systemctl restart sloth-agent; then echo 'it started with a mistake'; false; fi
# It would come before a restart's second is over.
[ "$(systemctl show sloth-agent -p SubState --value)" = failed ]
sed -i '/max_taks/d' /etc/sloth/agent.yaml
systemctl start sloth-agent

say 'a stop lets a task finish'
lua 'goroutine.sleep(3000) return true, "drained"' &
task=$!
wait_until status_says 'jobs running: 1'
systemctl stop sloth-agent
wait $task
systemctl start sloth-agent

say 'an upgrade lets a task finish, and the new agent runs'
before=$(main_pid)
lua 'goroutine.sleep(3000) return true, "upgraded"' &
task=$!
wait_until status_says 'jobs running: 1'
dpkg -i /packages/newer/*.deb >/dev/null
wait $task
restarted "$before"
dpkg -s sloth-agent | grep -q '^Version: .*+newer'

say 'the locked profile: no privileges, nothing to write to'
sh -e "$(grep -l profiles/locked.conf /packages/page.*)"
lua 'return os.execute("test $(id -un) = sloth-agent && touch /tmp/mine && ! touch /etc/by-task")'
rm -r /etc/systemd/system/sloth-agent.service.d
systemctl daemon-reload
systemctl restart sloth-agent
lua 'return os.execute("test $(id -u) -eq 0")'

say 'removal leaves what an administrator or the agent made, purge nothing'
dpkg --remove sloth-agent >/dev/null
[ -e /etc/sloth/agent.yaml ]
[ -e /var/lib/sloth-agent/local.key ]
dpkg --purge sloth-agent sloth >/dev/null 2>&1
written >/tmp/written.after
diff /tmp/written.before /tmp/written.after
[ -z "$(systemctl list-units --all --no-legend 'sloth*')" ]
say 'purged'
echo 'all is well'
