# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Completion for mbagent, mbserver and mbctl. Which commands and options there are, the program itself is
# asked (--help), so that none can be missing here; which VMs and hosts, the server that mbctl would ask, with
# a second's patience (MBCTL_COMPLETION_TIME). Needs nothing but bash 4.4.

# What COMMAND... says by --help, taken to pieces: $commands, $options, $arguments of these, and $positional,
# what usage has beside options; the caller's. 1: it says nothing.
_memory_buddies_ask() {
	local line names name argument word
	local -a list=()
	commands=() options=() arguments=() positional=()
	while IFS= read -r line; do
		case $line in
		'Usage: '* | '  or:  '*)
			read -ra list <<<"${line:7}"
			for word in "${list[@]:$#}"; do
				case $word in
				-- | '[--' | --*) break ;;
				*OPTION*) ;;
				*)
					positional+=("$word")
					[[ $word != [a-z]* ]] || break
					;;
				esac
			done
			;;
		'usage: '*) options=(command) ;;
		'Mandatory or optional'*) break ;;
		'  '[a-z]*) [[ ${options[0]-} != command ]] || commands+=("${line:2}") ;;
		' '*-*)
			names=${line#"${line%%[! ]*}"}
			[[ $names = -* ]] || continue
			names=${names%%  *}
			# A short name has the argument of its long one.
			argument=
			[[ $names != *=* ]] || argument=${names##*=}
			[[ $names != *=NAME=N,* ]] || argument=NAME=N,...
			for name in ${names//,/ }; do
				[[ $name = -* ]] || continue
				name=${name%%=*}
				options+=("$name")
				arguments[$name]=$argument
			done
			;;
		esac
	done < <(ARGP_HELP_FMT=rmargin=9000,opt-doc-col=100 "$@" --help 2>/dev/null)
	commands=("${commands[@]%% *}")
	[[ ${options[0]-} ]]
}

# $names that the server knows: vms, hosts or domains. $words are those of the line.
_memory_buddies_names() {
	local mbctl=mbctl i status
	local -a ask=()
	names=()
	if [[ ${words[0]} = *mbctl ]]; then
		# The same server, by the same token or certificate.
		mbctl=${words[0]}
		for ((i = 1; i < ${#words[@]} - 1; i++)); do
			case ${words[i]} in
			--server=* | --token-file=* | --cert=* | --cacert=*) ask+=("${words[i]}") ;;
			-s | --server | --token-file | --cert | --cacert) ask+=("${words[i]}" "${words[i + 1]}") ;;
			esac
		done
	fi
	status=$(timeout "${MBCTL_COMPLETION_TIME:-1}" "$mbctl" status --json "${ask[@]}" 2>/dev/null) || return 0
	# VMs are objects, and come last; a host has just the names of its own.
	local key=name
	case $1 in
	vms) [[ $status =~ '"vms":'\ *'[{'.* ]] && status=${BASH_REMATCH[0]} || return 0 ;;
	hosts) [[ $status =~ '"vms":'\ *'[{'.* ]] && status=${status%"${BASH_REMATCH[0]}"} ;;
	domains) key=domain ;;
	esac
	while [[ $status =~ \"$key\":\ *\"([^\"]*)\"(.*) ]]; do
		[[ " ${names[*]} " = *" ${BASH_REMATCH[1]} "* ]] || names+=("${BASH_REMATCH[1]}")
		status=${BASH_REMATCH[2]}
	done
}

# Adds to COMPREPLY what begins with $1: _memory_buddies_match BEGUN WORD...
_memory_buddies_match() {
	local word begun=$1
	shift
	for word in "$@"; do
		[[ $word != "$begun"* ]] || COMPREPLY+=("$word")
	done
}

# Files, with a prefix that is not part of their name: PREFIX BEGUN [how compgen calls them]
_memory_buddies_files() {
	local -a names=()
	compopt -o filenames 2>/dev/null
	mapfile -t names < <(compgen "${3:--f}" -- "$2")
	COMPREPLY+=("${names[@]/#/$1}")
}

# Values of what usage and options call KIND: _memory_buddies_values KIND BEGUN
_memory_buddies_values() {
	local kind=$1 begun=$2 part
	local -a names=() parts=()
	kind=${kind#[} kind=${kind%]} kind=${kind%...}
	case $kind in
	*'|'*)
		IFS='|' read -ra parts <<<"$kind"
		for part in "${parts[@]}"; do
			_memory_buddies_values "$part" "$begun"
		done
		;;
	FILE | TRACE* | SCENARIO | COMMAND) _memory_buddies_files '' "$begun" ;;
	DIR) _memory_buddies_files '' "$begun" -d ;;
	VM=HOST)
		if [[ $begun = *=* ]]; then
			_memory_buddies_names hosts
			_memory_buddies_match "$begun" "${names[@]/#/${begun%%=*}=}"
		else
			_memory_buddies_names vms
			_memory_buddies_match "$begun" "${names[@]/%/=}"
		fi
		;;
	VM,VM)
		part=
		[[ $begun != *,* ]] || part=${begun%,*},
		_memory_buddies_names vms
		_memory_buddies_match "$begun" "${names[@]/#/$part}"
		;;
	VM | HOST | DOMAIN)
		kind=${kind,,}s
		_memory_buddies_names "$kind"
		_memory_buddies_match "$begun" "${names[@]}"
		;;
	GROUP)
		mapfile -t names < <(compgen -g)
		_memory_buddies_match "$begun" "${names[@]}"
		;;
	[a-z0-9]*) _memory_buddies_match "$begun" "$kind" ;;
	esac
}

# Where pages come from: BEGUN and what there is beside processes, of which it offers those of QEMU.
_memory_buddies_source() {
	local -a pids=()
	case $1 in
	elf:* | trace:*) _memory_buddies_files "${1%%:*}:" "${1#*:}" ;;
	*)
		mapfile -t pids < <(pgrep qemu-system 2>/dev/null)
		_memory_buddies_match "$@" process: "${pids[@]/#/process:}"
		;;
	esac
}

# Values of an option, where its argument's name does not say them: _memory_buddies_value OPTION KIND BEGUN
# $path is the command.
_memory_buddies_value() {
	local -a names=()
	case $1=$2 in
	--source=SOURCE | -s=SOURCE) _memory_buddies_source "$3" kmod kmod:free elf: trace: ;;
	--source=process:* | -s=process:*) _memory_buddies_source "$3" ;;
	--planner=* | -p=NAME) _memory_buddies_match "$3" best paper seed ;;
	--tracker=*) _memory_buddies_match "$3" auto bpf softdirty none ;;
	--hash=* | -h=NAME) _memory_buddies_match "$3" xxh64 superfasthash32 ;;
	--seccomp=*) _memory_buddies_match "$3" refuse kill off ;;
	--mover=*) _memory_buddies_match "$3" dry rehearsal ;;
	*=ROLE) _memory_buddies_match "$3" read plan apply ;;
	--metric=*) _memory_buddies_match "$3" dirtied dirtied-rate pages distinct self-lost reference-lost ;;
	--quota=*) _memory_buddies_match "$3" mb_per_hour= mb_per_day= frames_per_minute= vms= sessions= ;;
	--listen=* | -l=*) _memory_buddies_match "$3" tcp: unix: vsock:any: ;;
	*=ADDRESS) _memory_buddies_match "$3" tcp: unix: vsock: serial: ;;
	--user=*)
		mapfile -t names < <(compgen -u)
		_memory_buddies_match "$3" "${names[@]}"
		;;
	--vm=NAME | --forget-vm=NAME) _memory_buddies_values VM "$3" ;;
	--host=NAME) _memory_buddies_values HOST "$3" ;;
	--domain=NAME) _memory_buddies_values DOMAIN "$3" ;;
	*) _memory_buddies_values "$2" "$3" ;;
	esac
}

_memory_buddies() {
	local i word glue=0 cur prev=
	local -a words=() path=() commands=() options=() positional=()
	local -A arguments=()
	COMPREPLY=()
	# Readline takes ":" and "=" for words of their own; here they are not.
	for ((i = 0; i <= COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if ((i > 0)) && [[ $glue = 1 || $word = [:=]* ]]; then
			words[-1]+=$word
		else
			words+=("$word")
		fi
		[[ $word = *[:=] ]] && glue=1 || glue=0
	done
	cur=${words[-1]}
	((${#words[@]} < 3)) || prev=${words[-2]}

	for ((i = 1; i <= ${#words[@]}; i++)); do
		path=("${words[@]:0:i}")
		_memory_buddies_ask "${path[@]}" || return 0
		[[ ${options[0]} = command ]] || break
		if ((i == ${#words[@]} - 1)); then
			_memory_buddies_match "$cur" "${commands[@]}"
			((i > 1)) || _memory_buddies_match "$cur" help --help --version
			return
		fi
	done

	# What follows "--" is another program's business.
	for word in "${words[@]:i:${#words[@]}-i-1}"; do
		[[ $word != -- ]] || {
			_memory_buddies_files '' "$cur"
			return
		}
	done
	if [[ $cur = --*=* ]]; then
		word=${cur%%=*}
		_memory_buddies_value "$word" "${arguments[$word]-}" "${cur#*=}"
		COMPREPLY=("${COMPREPLY[@]/#/$word=}")
	elif [[ $prev = -* && ${arguments[$prev]-} ]]; then
		_memory_buddies_value "$prev" "${arguments[$prev]}" "$cur"
	elif [[ $cur = -* ]]; then
		_memory_buddies_match "$cur" "${options[@]}"
		[[ ${path[0]} != *mbserver ]] || _memory_buddies_match "$cur" --version
	else
		for word in "${positional[@]}"; do
			_memory_buddies_values "$word" "$cur"
		done
	fi
	# What is not all of a word yet.
	[[ ${COMPREPLY[*]-} != *[:=] ]] || compopt -o nospace 2>/dev/null
	# Readline replaces what is behind the last break only.
	if [[ $cur = *[:=]* ]]; then
		word=${cur%"${cur##*[:=]}"}
		COMPREPLY=("${COMPREPLY[@]#"$word"}")
	fi
}

complete -F _memory_buddies mbagent mbserver mbctl
