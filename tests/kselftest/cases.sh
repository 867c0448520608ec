# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Named test cases for scripts that source this: a case is a function that
# fails with the first of its commands that does. Output is TAP.

cases=0 failures=0

# try NAME...: runs these cases
try()
{
	local name log status
	log=$(mktemp)
	for name; do
		cases=$((cases + 1))
		# Not as a condition: in one, -e would have no effect.
		(set -ex -o pipefail; $name) >"$log" 2>&1
		status=$?
		if [ $status -eq 0 ]; then
			echo "ok $cases $name"
		else
			sed 's/^/# /' "$log"
			echo "not ok $cases $name"
			failures=$((failures + 1))
		fi
	done
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
