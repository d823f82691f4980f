#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What can be said of the Debian packages without building them (make test-deb does that): configuration files that
# know all options and their defaults, units and lists that name the same paths, versions that only grow; and how
# the server takes its configuration file.
set -eu
. tests/flow/lib.sh
packaging=ci/deb/debian

# options PROGRAM...: "name default" of each that its --help tells; "-" where no single word is told
options() {
	"$@" --help | awk '
	function put() {
		if (name != "") {
			value = match(text, /\([^() ]+\)$/) ? substr(text, RSTART + 1, RLENGTH - 2) : "-"
			print name, value
		}
	}
	match($0, /^  (    |-[a-zA-Z?], )--[a-z-]+/) {
		found = substr($0, RSTART, RLENGTH)
		put()
		name = found
		sub(/.*--/, "", name)
		text = ""
	}
	/^ *$/ { put(); name = "" }
	{ sub(/ +$/, ""); text = text " " $0 }
	END { put() }' | grep -vE '^(help|usage|version) '
}

# --- the server's file -----------------------------------------------------------------------------

conf=server/server.conf
options "$mbserver" | grep -vE '^(config|forget-vm|backup|restore|check) ' >"$dir/options"
[ "$(wc -l <"$dir/options")" -ge 20 ] || fail "--help tells few options: $(cat "$dir/options")"
sed -n 's/^#\?\([a-z][a-z-]*\)\( .*\)\?$/\1/p' "$conf" | sort -u >"$dir/told"
is "$(cut -d ' ' -f 1 "$dir/options" | sort | comm -3 - "$dir/told")" "" "options of --help or of $conf, not of both"
while read -r name default; do
	said=$(sed -n "s/^#\?$name //p" "$conf" | head -n 1)
	case $name:$default in
	*:- | db:* | listen:* | tls-*:* | fleet:*) ;;
	quota:*)
		for each in ${said//,/ }; do
			"$mbserver" --help | tr -s '[:space:]' ' ' | grep -qF "${each%=*} (${each#*=})" ||
				fail "$conf: default of quota: $each"
		done
		;;
	*) is "$said" "$default" "$conf: default of $name" ;;
	esac
done <"$dir/options"

# With all that it has, but not another user: taken, up to the database that is not there.
sed 's/^#\([a-z][a-z-]*\( .*\)\?\)$/\1/; /^user /d; s/^http-group .*/http-group root/' "$conf" >"$dir/all.conf"
refuses "$dir/none" "$mbserver" --config "$dir/all.conf" --db "$dir/none" --check

# rejects 'PATTERN' 'TEXT': a file with that is wrong usage, and it is said where
rejects() {
	local code=0

	printf '%s\n' "$2" >"$dir/bad.conf"
	"$mbserver" --config "$dir/bad.conf" >"$dir/out" 2>&1 </dev/null || code=$?
	is $code 2 "exit code for \"$2\""
	grep -qF -- "$1" "$dir/out" || fail "does not say \"$1\": $(cat "$dir/out")"
}
rejects 'bad.conf: line 1: no option "lisen"' 'lisen tcp:127.0.0.1:1'
rejects 'bad.conf: line 2: --max-agents' $'verbose\nmax-agents many'
rejects 'bad.conf: line 1: --seccomp maybe' 'seccomp maybe'
rejects 'bad.conf: line 1: restore: on the command line only' 'restore /tmp/x'
rejects 'bad.conf: line 1: config: on the command line only' "config $dir/bad.conf"
rejects 'need --tls-cert' 'tls-crl /tmp/x'

# What comes after it counts more; all addresses are listened on.
printf 'db %s\nlisten unix:%s\nhttp 127.0.0.1:1\nsharing-interval 0\n' "$dir/db" "$dir/other" >"$dir/good.conf"
"$mbserver" --config "$dir/good.conf" --listen "unix:$dir/sock" --http 127.0.0.1:0 2>"$dir/server.log" &
pids+=($!)
wait_for 10 grep -q 'http on ' "$dir/server.log"
for socket in other sock; do
	grep -q "listening on unix:$dir/$socket" "$dir/server.log" || fail "not on $socket: $(cat "$dir/server.log")"
done
! grep -q 'http on 127.0.0.1:1$' "$dir/server.log" || fail "the file counts more than the command line"

# --- the agent's -----------------------------------------------------------------------------------

options "$mbagent" run | cut -d ' ' -f 1 | grep -v '^vm$' | sort >"$dir/options"
grep -o -- '--[a-z-]*' agent/agent.conf | sed 's/^--//' | grep -vE '^(now|help)$' | sort -u >"$dir/told"
is "$(comm -3 "$dir/options" "$dir/told")" "" "options of mbagent run --help or of agent/agent.conf, not of both"

# --- units, lists ----------------------------------------------------------------------------------

grep -q '^ExecStart=/usr/sbin/mbserver --config /etc/memory-buddies/server.conf$' server/mbserver.service ||
	fail "the server's unit starts it otherwise"
grep -q '^ExecStart=/usr/sbin/mbagent run ' agent/mbagent@.service || fail "the agent's unit starts it otherwise"
for unit in server/mbserver.service agent/mbagent@.service; do
	while read -r option; do
		program=$mbserver
		[ "$unit" = server/mbserver.service ] || program="$mbagent run"
		# shellcheck disable=SC2086 # words
		$program --help | grep -q -- "$option" || fail "$unit: no option $option"
	done < <(sed -n 's/^ExecStart=//p' "$unit" | grep -o -- '--[a-z-]*')
done
for list in "$packaging"/*.install "$packaging"/*.examples; do
	while read -r from to; do
		case $from in
		'#'*) continue ;;
		build/release/*) [ -e "$BUILD/${from##*/}" ] || fail "$list: no program $from" ;;
		*) compgen -G "$from" >/dev/null || fail "$list: no $from" ;;
		esac
		case $from:$to in
		*mbserver:usr/sbin | *mbagent:usr/sbin | *mbctl:usr/bin | *.service:lib/systemd/system) ;;
		*.conf:etc/memory-buddies | *.md:usr/share/doc/memory-buddies-doc) ;;
		*.conf: | docs/*:) ;;
		*) fail "$list: $from goes to $to" ;;
		esac
	done <"$list"
done
while read -r package; do
	for field in Architecture Depends Description; do
		awk -v p="Package: $package" '$0 == p { on = 1 } on && /^$/ { exit } on' "$packaging/control" |
			grep -q "^$field: ." || fail "$package has no $field"
	done
done < <(sed -n 's/^Package: //p' "$packaging/control")

# --- versions --------------------------------------------------------------------------------------

mkdir -p "$dir/tree/ci/deb"
cp ci/deb/version "$dir/tree/ci/deb"
in_tree() {
	git -C "$dir/tree" -c user.name=t -c user.email=t@example.org -c commit.gpgsign=false "$@" >/dev/null
}
last=0
# grows COMMAND...: after it the version is later than before
grows() {
	local now
	in_tree "$@"
	now=$("$dir/tree/ci/deb/version")
	dpkg --validate-version "$now" || fail "no version: $now"
	dpkg --compare-versions "$now" gt "$last" || fail "$now is not later than $last"
	last=$now
}
in_tree init -q
grows commit -q --allow-empty -m one
grows commit -q --allow-empty -m two
grows tag v0.9
is "$last" 0.9 "the version of a tag"
grows commit -q --allow-empty -m three
grows commit -q --allow-empty -m eleven
grows tag v0.10
