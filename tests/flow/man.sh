#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Manual pages: one for every command, as its --help says today, well formed, complete, with references
# that lead somewhere. Their examples are run by docs.sh.
set -eu -o pipefail
. tests/flow/lib.sh

pages=(docs/man/*.[1-8])
commands=$(ci/man "$BUILD" list)

# No command without a page, no page without a command.
parts=$(grep -h '^\.\\" begin ' "${pages[@]}")
while IFS= read -r command; do
	grep -qE "begin (head|about): $command\$" <<<"$parts" ||
		fail "no page: ci/man $BUILD new \"$command\", then give it an example"
	grep -qE "begin (options|parts): $command\$" <<<"$parts" || fail "no page has the options of $command"
done <<<"$commands"
while IFS= read -r command; do
	[[ $command = mbctl || $command = mbagent ]] || grep -qxF "$command" <<<"$commands" ||
		fail "a page of $command, which is not there"
done < <(sed -n 's/.*begin \(head\|about\|options\|parts\|commands\): //p' <<<"$parts")

# What programs say today.
mkdir "$dir/man"
cp "${pages[@]}" "$dir/man/"
renewed=$(ci/man "$BUILD" "$dir/man")
[ -z "$renewed" ] || fail "not what --help says, run make man: $renewed"

# Sections; options that the text between names, which some command must have; references.
awk '
	FNR == 1 { text[++n] = FILENAME; made = 0 }
	/^\.\\" begin/ { made = 1 }
	/^\.\\" end/ { made = 0 }
	/^\.Sh / { seen[FILENAME, substr($0, 5)]++; examples = /EXAMPLES/ }
	examples && /^\.Bd -literal/ { shown[FILENAME] = 1 }
	made && /^\.It .*Fl -/ { for (i = 1; i < NF; i++) if ($i == "Fl") known[substr($(i + 1), 2)] = 1 }
	!made && !/^\.\\"/ {
		line = $0
		while (match(line, /(Fl -|, -|--)[a-z][a-z0-9-]+/)) {
			option = substr(line, RSTART, RLENGTH)
			sub(/^(Fl -|, -|--)/, "", option)
			named[FILENAME " --" option] = option
			line = substr(line, RSTART + RLENGTH)
		}
	}
	/^\.(It )?Xr m/ { sub(/^\.It /, "."); refers[FILENAME " " $2 "(" $3 ")"] = "docs/man/" $2 "." $3 }
	function bad(what) { print what; failed = 1 }
	END {
		m = split("NAME,DESCRIPTION,ENVIRONMENT,FILES,EXIT STATUS,EXAMPLES,SEE ALSO", want, ",")
		for (i = 1; i <= n; i++) {
			there[text[i]] = 1
			for (j = 1; j <= m; j++)
				if (seen[text[i], want[j]] != 1)
					bad(text[i] ": section " want[j] " is there " seen[text[i], want[j]] + 0 " times")
			if (!shown[text[i]])
				bad(text[i] ": no example")
		}
		for (i in named)
			if (!known[named[i]])
				bad(i ": no command has that option")
		for (i in refers)
			if (!there[refers[i]])
				bad(i ": no such page")
		exit failed
	}' "${pages[@]}" || fail "the pages above"
lint=$(mandoc -Tlint -Wwarning "${pages[@]}" 2>&1) || fail "$lint"
is "$lint" "" "mandoc"
mandoc -Tutf8 "${pages[@]}" >"$dir/text"
[ "$(wc -l <"$dir/text")" -gt $((20 * ${#pages[@]})) ] || fail "pages do not render"
