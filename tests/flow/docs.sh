#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every example in README, docs/ and the manual pages is run: as it stands, in a network of its own, with a
# server, a fleet and traces that are there already; where output is shown, ours is the same up to figures.
# docs.list has those that are not, and what covers them instead.
# usage: BUILD=DIR tests/flow/docs.sh [FILE...]      MB_TRACES: the folder of the real traces
set -eu -o pipefail
if [ -z "${MB_DOCS_INSIDE:-}" ]; then
	unshare -nm true 2>/dev/null || {
		echo "no network namespace of one's own (needs root)"
		exit 77
	}
	MB_DOCS_INSIDE=1 exec unshare -nm --propagation private bash "$0" "$@"
fi
. tests/flow/lib.sh
top=$PWD
list=$top/tests/flow/docs.list
files=("$@")
[ $# -gt 0 ] || files=(README.md docs/*.md docs/man/*.[1-8])
real=${MB_TRACES:-../shared/traces}
[ ! -d "$real" ] || real=$(cd "$real" && pwd)
ip link set lo up
printf '127.0.0.1 localhost mb.example.org\n' >"$dir/hosts"
mount --bind "$dir/hosts" /etc/hosts
export PATH=$dir/bin:$top/$BUILD:$PATH
unset JOURNAL_STREAM MBCTL_SERVER MBCTL_PKI MBCTL_TOKEN_FILE MBCTL_CERT MBCTL_CACERT

# --- what is there when an example begins --------------------------------------------------------

mkdir "$dir/bin" "$dir/base" "$dir/blocks"
sleep 1000 &
sleeper=$!
pids+=("$sleeper")
printf '#!/bin/sh\necho %d\n' "$sleeper" >"$dir/bin/pgrep" # a QEMU
printf '#!/bin/sh\nshift\nexec "$@"\n' >"$dir/bin/ssh"
chmod +x "$dir/bin/"*
cd "$dir/base"
printf '#!/bin/sh\nsleep 1.3\n' >benchmark
chmod +x benchmark
mkdir etc backup traces
printf '%032x' 1 >fleet.key
cp fleet.key etc/web1.key
for vm in web1 web2 db1 web other; do
	"$top/$BUILD/tests/tool_trace" $vm.mbt 8 3000 200 "${#vm}" >/dev/null
done
ln -s ../web1.mbt traces/web1.mbt
cat >fleet.json <<-JSON
	{ "hosts": [ { "name": "host1", "memory_mb": 65536 }, { "name": "host2", "memory_mb": 65536 } ], "vms": [] }
JSON
cat >scenario.json <<-JSON
	{ "hosts": [ { "count": 2, "memory_mb": 1024 } ], "types": [ { "name": "mail", "memory_mb": 256, "share_percent": 20 } ],
	  "arrivals": { "count": 6 } }
JSON

# until_logged PATTERN COUNT: waits until the log says so more often than COUNT, or who was started last is gone
until_logged() {
	local tries=300
	while [ "$(grep -c "$1" log)" -le "$2" ]; do
		tries=$((tries - 1))
		{ [ $tries -gt 0 ] && kill -0 $! 2>/dev/null; } || {
			echo "never said \"$1\": $(tail -n 5 log)"
			return 1
		}
		sleep 0.2
	done
}
logged() {
	grep -c "$1" log || true
}
serve() {
	local before
	[ -z "${env_server:-}" ] || return 0
	touch log
	before=$(logged 'https* on')
	mbserver --db fleet.db --fleet fleet.json "$@" 2>>log &
	env_server=$!
	pids+=("$env_server")
	until_logged 'https* on' "$before" || fail "the server did not start"
}
serve_https() {
	no_server
	serve --http 0.0.0.0:9877 --tls-cert etc/pki/mb.example.org.pem --tokens tokens
}
no_server() {
	[ -n "${env_server:-}" ] || return 0
	kill "$env_server"
	wait "$env_server" || fail "the server ended with $?: $(tail -n 5 log)"
	env_server=
}
# Doctors end with 1 when they have found something.
may_find() {
	"$@" || [ $? = 1 ]
}
export -f until_logged logged may_find

serve
for vm in web1:host1 web2:host2 db1:host1 shop1:host2; do
	domain=default trace=${vm%%:*}
	[ "$trace" != shop1 ] || domain=tenant-a trace=web2
	mbagent run --source "trace:$trace.mbt" --vm "${vm%%:*}" --host "${vm#*:}" --domain $domain --key fleet.key \
		--interval 0 --epochs 3 2>>log || fail "no fleet: $(cat log)"
done
no_server

# --- examples --------------------------------------------------------------------------------------

# listed KIND FILE TEXT: the row of docs.list whose text TEXT begins with; sets $row, notes that it is of use
mapfile -t rows < <(grep -v '^#' "$list")
declare -A used=()
listed() {
	local kind file text
	for row in "${rows[@]}"; do
		[[ $row = "$1|$2|"* ]] || continue
		IFS='|' read -r kind file text row <<<"$row"
		[[ $3 = "$text"* ]] || continue
		used["$kind|$file|$text"]=1
		return 0
	done
	return 1
}

# What stands in examples for what only an operator's machines have.
as_here() {
	sed -E -e 's,/etc/memory-buddies/,etc/,g' -e 's,/backup/,backup/,g' -e "s/process:4711/process:$sleeper/" \
		-e 's/--for 10m/--for 10m --epochs 3 --interval 10ms/' -e 's/(mbagent (run|scan) .*)--source kmod/\1--source trace:web1.mbt/' \
		-e 's/(mbctl executions) 7/\1 1/' -e 's/^(mbctl|mbagent) doctor/may_find &/'
}

# A program that stays in the foreground of a terminal goes to the background here, and is waited for.
in_background() {
	awk '
		{ whole = whole $0 }
		/\\$/ { whole = whole "\n"; next }
		{
			line = whole
			whole = ""
			serves = line ~ /^mbserver / && line !~ /--(backup|check|restore|forget-vm|version|help)/
			reports = line ~ /^mbagent run / && line !~ /--epochs/
			if (!serves && !reports) { print line; next }
			said = serves ? "https* on" : "acked"
			sub(/  +#.*/, "", line)
			print "touch log; before=$(logged \"" said "\")"
			print line " 2>>log & started=\"$started $!\"; until_logged \"" said "\" $before"
		}'
}

# Output as it is compared: figures are those of another machine. "..." stands for any lines.
same_shape() {
	awk '
		function shape(s) {
			gsub(/[0-9][0-9.:]*/, "#", s)
			gsub(/ +/, " ", s)
			sub(/ $/, "", s)
			sub(/^ /, "", s)
			return s
		}
		FNR == NR { want[++n] = shape($0); shown[n] = $0; next }
		{ got[++m] = shape($0); ours[m] = $0 }
		END {
			while (n && want[n] == "") n--
			while (m && got[m] == "") m--
			j = 1
			for (i = 1; i <= n; i++) {
				if (want[i] == "...") { any = 1; continue }
				while (any && j <= m && got[j] != want[i]) j++
				any = 0
				if (j > m || got[j] != want[i]) {
					print "shown: " shown[i]
					print "is:    " (j > m ? "(no more)" : ours[j])
					exit 1
				}
				j++
			}
			if (!any && j <= m) { print "not shown: " ours[j]; exit 1 }
		}' "$1" "$2"
}

# shown BLOCK WHERE: each command, and what it prints below
shown() {
	local line command=
	while IFS= read -r line; do
		if [[ $line = '$ '* ]]; then
			[ -z "$command" ] || one_shown "$command" "$2"
			command=${line#'$ '}
			: >"$dir/want"
		else
			printf '%s\n' "$line" >>"$dir/want"
		fi
	done <"$1"
	one_shown "$command" "$2"
}
one_shown() {
	as_here <<<"$1" >"$dir/command"
	bash -e "$dir/command" >"$dir/out" 2>&1 || fail "$2: $1: exit code $?: $(cat "$dir/out")"
	same_shape "$dir/want" "$dir/out" >"$dir/diff" || fail "$2: $1: $(cat "$dir/diff")"
}

run_block() {
	local where=$2 line body='' down=0 up=0
	while IFS= read -r line; do
		listed line "${where%%:*}" "$line" || body+=$line$'\n'
		case $line in
		'mbserver '*--restore* | 'mbserver '*--forget-vm*) down=1 ;;
		'mbserver '*--backup* | 'mbserver '*--check*) up=1 ;;
		'mbserver --version'* | 'mbserver --help'*) ;;
		'mbserver '*) down=1 ;;
		'mbctl '* | 'mbagent run '*) up=1 ;;
		# What a reader's shell still knows later.
		'export '*) as_here <<<"$line" >>exports ;;
		esac
	done <"$1"
	if [ $down = 1 ]; then
		no_server
	elif [ $up = 1 ]; then
		serve
	fi
	{
		# shellcheck disable=SC2016 # for the example
		printf '%s\n' started= 'end() { [ -z "$started" ] || { kill $started; wait; } 2>/dev/null; }' 'trap end EXIT' 'set -e'
		[ ! -e exports ] || printf '%s\n' "$(<exports)"
		as_here <<<"$body" | in_background
	} >"$dir/command"
	bash "$dir/command" >"$dir/out" 2>&1 || fail "$where: exit code $?: $(cat "$dir/out"; tail -n 5 log)"
}

# The original project's traces, as the VMs that the README plans for.
real_fleet() {
	ln -sf "$real"/* .
	cat >fleet.json <<-JSON
		{ "hosts": [ { "name": "H0", "memory_mb": 3072 }, { "name": "H1", "memory_mb": 3072 },
		             { "name": "H2", "memory_mb": 3072 } ],
		  "vms": [ { "name": "VM0", "memory_mb": 1024, "host": "H0", "trace": "Trace3/VM1.txt0.zst" },
		           { "name": "VM1", "memory_mb": 2048, "host": "H0", "trace": "kernelBuild/VM1.txt1.zst" },
		           { "name": "VM2", "memory_mb": 1024, "host": "H1", "trace": "Trace3/VM1.txt2.zst" },
		           { "name": "VM4", "memory_mb": 1024, "host": "H2", "trace": "Trace4/VM1.txt0.zst" } ] }
	JSON
}

ran=0 excepted=0
cd "$top"
awk -v out="$dir/blocks" -f tests/flow/docs.awk "${files[@]}" >"$dir/names"
env_of=
while IFS= read -r block; do
	{
		read -r where
		first='#'
		while [[ $first = '#'* ]]; do
			IFS= read -r first
		done
	} <"$block"
	file=${where%%:*}
	text=$(<"$block")
	text=${text#*$'\n'}
	printf '%s\n' "$text" >"$block"
	if listed block "$file" "$first"; then
		excepted=$((excepted + 1))
		continue
	fi
	# A file's examples follow on each other; another file's begin anew.
	env=$file
	[[ $file != docs/man/* ]] || env=docs/man
	if [ "$env" != "$env_of" ]; then
		no_server
		cd "$dir"
		rm -rf work
		cp -r base work
		cd work
		env_of=$env
	fi
	if [[ $text = *Trace3/* || $text = *VM2* ]]; then
		[ -d "$real" ] || continue
		real_fleet
	fi
	! listed before "$file" "$first" || ${row%%|*}
	if [[ $'\n'$text = *$'\n$ '* ]]; then
		serve
		shown "$block" "$where"
	else
		run_block "$block" "$where"
		if listed says "$file" "$first"; then
			IFS=, read -ra words <<<"${row%%|*}"
			for word in "${words[@]}"; do
				grep -qF -- "$word" "$dir/out" || fail "$where: no \"$word\": $(cat "$dir/out")"
			done
		fi
	fi
	ran=$((ran + 1))
done <"$dir/names"
# Files that are shown are such as programs take.
fenced() {
	awk -v begin="$2" 'index($0, "```") == 1 { n = !n; on = 0; next } n && index($0, begin) == 1 { on = 1 } on' "$top/$1"
}
if [ $# = 0 ]; then
	serve
	fenced docs/fleet-file.md '{' >fleet.json
	mbctl plan >"$dir/out" 2>&1 || fail "docs/fleet-file.md: $(cat "$dir/out")"
	fenced docs/planner.md '{ "note"' >shown.json
	mbctl simulate shown.json >"$dir/out" 2>&1 || fail "docs/planner.md: $(cat "$dir/out")"
fi
no_server
cd "$top"

# --- what is said in passing ----------------------------------------------------------------------

# is_there TEST: docs.list names tests as the docs do
is_there() {
	case $1 in
	'unit '*) [ -f "tests/unit/test_${1#unit }.c" ] ;;
	'flow '*) [ -f "tests/flow/${1#flow }.sh" ] ;;
	'make '*) [[ " $targets " = *" ${1#make } "* ]] ;;
	*) false ;;
	esac
}
targets=$(sed -n 's/^\([a-z][a-z-]*\):.*/\1/p' Makefile)
targets=${targets//$'\n'/ }
while IFS='|' read -r kind file text reason test; do
	[[ " ${files[*]} " = *" $file "* ]] || continue
	[ -n "${used["$kind|$file|$text"]:-}" ] || fail "docs.list: no example of $file begins with: $text"
	[ "$kind" = before ] || [ "$kind" = says ] || is_there "$test" || fail "docs.list: $file: $text: there is no $test"
	[ -n "$reason" ] || fail "docs.list: $file: $text: no reason"
done < <(grep -v '^#' "$list")
# Targets of make, unit and flow tests that are named in `...`.
# shellcheck disable=SC2016 # backquotes of Markdown
while read -r word; do
	word=${word//\`/}
	case $word in
	*NAME* | *=name* | 'make MODE='* | 'make STATIC='* | 'make build/'*) continue ;;
	'make unit T='*) word="unit ${word#*T=}" ;;
	'make flow T='*) word="flow ${word#*T=}" ;;
	'make '*) read -r _ word _ <<<"$word" && word="make $word" ;;
	esac
	is_there "$word" || fail "README or docs/: there is no $word"
done < <(grep -hoE '`(make [a-z]|unit [a-z]|flow [a-z])[^`]*`' README.md docs/*.md | sort -u)
# Links lead to files.
while IFS=: read -r file link; do
	link=${link#']('} link=${link%%[#)]*}
	[ -z "$link" ] || [ -e "${file%/*}/$link" ] || [ -e "$link" ] || fail "$file: a link to $link, which is not there"
done < <(grep -oHE '\]\([^)h][^):]*\)' README.md docs/*.md)
# Options of our programs that are named in `...`: some command of the program has them.
sed -n 's/^\.It .*Fl -\([a-z0-9-]*\).*/--\1/p' docs/man/*.[1-8] | sort -u >"$dir/options"
echo --version >>"$dir/options"
# shellcheck disable=SC2016 # backquotes of Markdown
grep -HoE '`(mbctl|mbagent|mbserver) [^`]*`' README.md docs/*.md | grep -oE '^[^:]*:|--[a-z][a-z0-9-]*' |
	awk 'FNR == NR { known[$1] = 1; next } /:$/ { file = $0; next } !($1 in known) { print file, $1; bad = 1 } END { exit bad }' \
		"$dir/options" - || fail "no command has the options above"
echo "$ran examples run, $excepted covered elsewhere"
