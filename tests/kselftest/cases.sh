# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Test cases for scripts that source this file. A case is a function; it fails
# with its first failing command. Output is TAP.
#
# When a case ends, every process it started is killed, so that none can hang a
# later case. In a guest, the module is loaded again after a failed case.

cases=0 failures=0
# The time limit of a case, in seconds: a quarter of the guest's.
limit=$((${BPIPE_VM_TIMEOUT:-2400} / 4))

# A process can leave its process group, but not its cgroup. Only guests use cgroups.
cgroup=
if [ "${BPIPE_KO-}" ]; then
	cgroup=/sys/fs/cgroup/cases.$$
	mkdir "$cgroup"
fi

# until_within SECONDS COMMAND...: repeat the command until it succeeds, or fail
until_within()
{
	local end=$((SECONDS + $1))
	until "${@:2}"; do
		[ $SECONDS -le $end ] || return
		sleep 0.1
	done
}

bail_out()
{
	echo "Bail out! $*"
	exit 1
}

# Kill every process that the case left running.
end_case()
{
	kill -9 -- "-$case" 2>/dev/null
	[ "$cgroup" ] || return 0
	echo 1 >"$cgroup/cgroup.kill"
	until_within 30 grep -q 'populated 0' "$cgroup/cgroup.events" ||
		bail_out "$name left a process that cannot be killed"
}

module_loaded()
{
	grep -q '^bpipe ' /proc/modules
}

# Configure the channel of a newly loaded module for the cases of a script. A small
# channel fills soon. A script may define its own function instead.
prepare()
{
	bpipectl set size=64K
}

# Load the module again. A write while it was unloaded may have created a regular file
# in place of the node.
reload_module()
{
	! module_loaded || until_within 30 rmmod bpipe ||
		bail_out "$name left the module in use"
	rm -f /dev/bpipe
	insmod "$BPIPE_KO" || bail_out "the module cannot be loaded after $name"
}

# try NAME...: run these cases
try()
{
	local name log status case timer ended loaded
	log=$(mktemp)
	# The terminal sends SIGINT neither to the case nor to the timer.
	trap 'kill "$timer"; end_case; exit 1' HUP INT TERM
	for name; do
		cases=$((cases + 1)) loaded=
		[ -z "$cgroup" ] || ! module_loaded || loaded=yes
		# Job control gives the case its own process group. The case must
		# not run as a condition, where -e has no effect.
		set -m
		(
			[ -z "$cgroup" ] || echo 0 >"$cgroup/cgroup.procs"
			set +m -ex -o pipefail
			$name
		) </dev/null >"$log" 2>&1 &
		case=$!
		sleep "$limit" &
		timer=$!
		set +m
		status=0
		wait -n -p ended "$case" "$timer" || status=$?
		if [ "$ended" = "$timer" ]; then
			echo "timed out after $limit seconds" >>"$log"
			status=1
		fi
		{
			kill "$timer"
			end_case
			wait "$case" "$timer"
		} 2>/dev/null
		if [ $status -eq 0 ]; then
			echo "ok $cases $name"
		else
			sed 's/^/# /' "$log"
			echo "not ok $cases $name"
			failures=$((failures + 1))
			if [ "$loaded" ]; then
				reload_module
				prepare
			fi
		fi
	done
	trap - HUP INT TERM
	rm -f "$log"
}

# Print the plan and exit; the last command of a script.
tried()
{
	echo "1..$cases"
	exit $((failures > 0))
}

# gives STATUS TEXT COMMAND...: succeed if the command exits with STATUS and prints
# TEXT on standard error (a regular expression; empty: it prints nothing).
gives()
{
	local status=0 said
	said=$("${@:3}" 2>&1 >/dev/null) || status=$?
	[ "$status" -eq "$1" ]
	if [ "$2" ]; then
		[[ $said =~ $2 ]]
	else
		[ -z "$said" ]
	fi
}
