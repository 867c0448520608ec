# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Named test cases for scripts that source this: a case is a function that
# fails with the first of its commands that does. Output is TAP.
#
# When a case ends, all that it started is killed, so that it cannot hang a later
# case. In a guest, the case after a failed one starts from a newly loaded module.

cases=0 failures=0
# Seconds a case may take: a quarter of what the guest may.
limit=$((${BPIPE_VM_TIMEOUT:-2400} / 4))

# A process can leave its process group, but not its cgroup; only guests have one.
cgroup=
if [ "${BPIPE_KO-}" ]; then
	cgroup=/sys/fs/cgroup/cases.$$
	mkdir "$cgroup"
fi

# until_within SECONDS COMMAND...: repeat the command until it succeeds
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

# Kill what the case has left running.
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

# Configure the channel of a newly loaded module for the cases of a script. Small, so
# that it fills soon; a script may have a function of its own.
prepare()
{
	bpipectl set size=64K
}

# Load the module again. A write without it has made a regular file of its node.
reload_module()
{
	! module_loaded || until_within 30 rmmod bpipe ||
		bail_out "$name left the module in use"
	rm -f /dev/bpipe
	insmod "$BPIPE_KO" || bail_out "the module cannot be loaded after $name"
}

# try NAME...: runs these cases
try()
{
	local name log status case timer ended loaded
	log=$(mktemp)
	# ^C reaches neither process group.
	trap 'kill "$timer"; end_case; exit 1' HUP INT TERM
	for name; do
		cases=$((cases + 1)) loaded=
		[ -z "$cgroup" ] || ! module_loaded || loaded=yes
		# Job control gives the case a process group. Not as a condition:
		# in one, -e would have no effect.
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
			echo "no end after $limit seconds" >>"$log"
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

# Closes a script of cases.
tried()
{
	echo "1..$cases"
	exit $((failures > 0))
}

# gives STATUS TEXT COMMAND...: the command ends with this status and says this
# on standard error (a regular expression; empty: it says nothing).
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
