#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Bash completion, asked as readline asks it: every command and option of --help is offered, files, VMs and
# hosts of a server, fixed words that programs know; nothing, and soon, when there is no server.
set -eu -o pipefail
. tests/flow/lib.sh
. docs/completion/memory-buddies.bash
PATH=$PWD/$BUILD:$PATH
# A busy machine is no reason to fail.
export MBCTL_COMPLETION_TIME=60

# What programs say of themselves is asked once, and kept.
mkdir "$dir/help"
kept() {
	local file="$dir/help/$*"
	if [ "${*: -1}" != --help ]; then
		command "$@"
		return
	fi
	[ -e "$file" ] || command "$@" >"$file" 2>/dev/null || true
	printf '%s\n' "$(<"$file")"
}
mbagent() { kept mbagent "$@"; }
mbctl() { kept mbctl "$@"; }
mbserver() { kept mbserver "$@"; }
export ARGP_HELP_FMT=rmargin=9000,opt-doc-col=100

# What is asked of readline, which is not here.
asked=
compopt() {
	asked+=" $*"
}

# sorted WORD...: on one line
sorted() {
	local lines
	lines=$(printf '%s\n' "$@" | sort)
	echo "${lines//$'\n'/ }"
}
# offered 'LINE': sets $got to all that is offered for the line's last word, sorted; $asked to what readline is told
offered() {
	asked=
	local words line=${1//:/ : }
	IFS=' ' read -ra words <<<"${line//=/ = }"
	[[ $1 != *' ' ]] || words+=('')
	COMP_WORDS=("${words[@]}") COMP_CWORD=$((${#words[@]} - 1))
	_memory_buddies "${words[0]}" || true
	got=$(sorted "${COMPREPLY[@]}")
}
# offers 'LINE' 'WORDS'
offers() {
	offered "$1"
	is "$got" "$2" "offered for \"$1\""
}

# --- commands and options: all of them ----------------------------------------------------------

# Every option that --help has at the start of a line is one that completion knows of.
n=0
options_of() {
	local help
	_memory_buddies_ask "$@" || fail "$* says nothing"
	help=$("$@" --help)
	while [[ $help =~ $'\n'('  '-.,\ |'      ')(--[a-z0-9-]+)(.*) ]]; do
		[[ " ${options[*]} " = *" ${BASH_REMATCH[2]} "* ]] || fail "$*: ${BASH_REMATCH[2]} is not offered"
		help=${BASH_REMATCH[3]}
		n=$((n + 1))
	done
}
declare -A arguments=()
options_of mbserver
for program in mbagent mbctl; do
	mapfile -t listed < <("$program" --help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p')
	offers "$program " "$(sorted "${listed[@]}" help --help --version)"
	for c in "${listed[@]}"; do
		case $c in
		pki | token | key)
			mapfile -t nested < <("$program" "$c" --help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p')
			offers "$program $c " "$(sorted "${nested[@]}")"
			for d in "${nested[@]}"; do
				options_of "$program" "$c" "$d"
			done
			;;
		*) options_of "$program" "$c" ;;
		esac
	done
done
[ $n -gt 250 ] || fail "just $n options"
offers 'mbctl plan --ov' '--overcommit --overcommit-percent'
offered 'mbctl history -'
is "$got" "$(sorted -c --cacert -C --cert -j --json -n --limit -s --server -t --token-file -w --who -? --help --usage)" \
	"options of mbctl history"
offers 'mbserver --ver' '--verbose --version'
offers 'mbctl pk' 'pki'
offers 'mbctl pki agent --v' '--valid --vm'
offers 'mbctl nonsense ' ''

for program in mbagent mbctl mbserver; do
	[[ $(complete -p $program) = *'-F _memory_buddies '* ]] || fail "$program is not completed"
done

# --- values -------------------------------------------------------------------------------------

printf '{ "hosts": [ { "name": "host1", "memory_mb": 64 }, { "name": "host2", "memory_mb": 64 } ], "vms": [] }' \
	>"$dir/fleet.json"
server --fleet "$dir/fleet.json"
export MBCTL_SERVER=$http
seq 1 3000 >"$dir/trace"
for vm in web1 web2 db1; do
	mbagent run --source "trace:$dir/trace" --vm $vm --host host1 --hash superfasthash32 --server "unix:$dir/sock" \
		--epochs 1 --interval 0 2>/dev/null
done
# Which QEMU is there, this test decides.
mkdir "$dir/bin"
printf '#!/bin/sh\necho 4711\n' >"$dir/bin/pgrep"
chmod +x "$dir/bin/pgrep"
PATH=$dir/bin:$PATH

offers 'mbctl place w' 'web1 web2'
offers 'mbctl drain --planner best ' 'host1 host2'
offers 'mbctl whatif web1' 'web1='
offers 'mbctl whatif web1=' 'host1 host2'
offers 'mbctl whatif --vms web1,d' 'web1,db1'
offers 'mbctl churn ' 'db1 fleet host1 host2 web1 web2'
offers 'mbctl plan ' 'explain'
offers 'mbctl key rotate ' 'default'
offers 'mbserver --forget-vm web' 'web1 web2'
offers 'mbctl plan --planner ' 'best paper seed'
offers 'mbctl plan --planner=b' 'best'
offers 'mbctl analyze --bits ' '32 48 64'
offers 'mbagent run --source ' 'elf: kmod kmod:free process: process:4711 trace:'
offers 'mbagent scan --source process:' ' 4711'
offers 'mbagent doctor --source ' 'process: process:4711'
offers 'mbctl doctor h' 'host1 host2'
offers "mbagent run --source=trace:$dir/tr" "$dir/trace"
offers "mbctl plan --fleet $dir/fl" "$dir/fleet.json"
offers "mbagent churn -- $dir/tr" "$dir/trace"
offers 'mbctl status ' ''
offers 'mbctl executions ' 'cancel decide'
offers 'mbserver --quota m' 'mb_per_day= mb_per_hour='
offers 'mbctl plan -p b' 'best'
offers 'mbctl key id -h x' 'xxh64'
offers 'mbagent run -s k' 'kmod kmod:free'
offers 'mbagent churn --metric dirt' 'dirtied dirtied-rate'
offers 'mbserver -l v' 'vsock:any:'
is "$asked" ' -o nospace' 'what goes on behind "vsock:any:"'
offers 'mbserver --user roo' 'root'
offers 'mbserver --http-group roo' 'root'
offers 'mbagent run --vm web' 'web1 web2'
offers 'mbagent run --host h' 'host1 host2'
offers 'mbagent run --domain d' 'default'
# Folders, and no files, where a folder is wanted.
: >"$dir/bin.txt"
offers "mbctl pki agent --dir $dir/bi" "$dir/bin"
is "$asked" ' -o filenames' 'of folders'
offers "mbctl key id $dir/bin." "$dir/bin.txt"
is "$asked" ' -o filenames' 'of files'

# One that does not answer is not waited for.
mkdir "$dir/slow"
printf '#!/bin/sh\nexec sleep 300\n' >"$dir/slow/mbctl"
chmod +x "$dir/slow/mbctl"
since=$SECONDS
MBCTL_COMPLETION_TIME=1 PATH=$dir/slow:$PATH offers 'mbagent run --vm w' ''
[ $((SECONDS - since)) -lt 200 ] || fail "waited for $((SECONDS - since)) s"

# The server of the line, and the program of the line, are asked.
(
	unset MBCTL_SERVER
	for option in --server= '--server ' '-s '; do
		offers "mbctl place ${option}$http w" 'web1 web2'
	done
	PATH=/usr/bin:/bin
	offers "$PWD/$BUILD/mbctl place --server $http w" 'web1 web2'
)

# Words that stand in the completion itself are words that the programs know.
while read -r option kind help; do
	COMPREPLY=()
	_memory_buddies_value "$option" "$kind" ''
	[ ${#COMPREPLY[@]} -gt 1 ] || fail "no words for $option $kind"
	said=$($help)
	for word in "${COMPREPLY[@]}"; do
		[[ $said =~ [^a-z]${word%%[:=]*}[^a-z] ]] || fail "$help knows no \"$word\" of $option"
	done
done <<-WORDS
	--planner NAME mbctl plan --help
	--tracker NAME mbagent run --help
	--hash NAME mbagent run --help
	--seccomp HOW mbserver --help
	--mover NAME mbserver --help
	--role ROLE mbctl pki operator --help
	--quota NAME=N,... mbserver --help
	--metric NAME cat docs/ci.md
	--listen ADDRESS mbserver --help
	--server ADDRESS mbagent run --help
WORDS

stop_server
offers 'mbctl place ' ''
