# SPDX-License-Identifier: GPL-2.0-or-later
# Copies manual pages (mdoc) to -v out=FOLDER with their parts anew; called by ci/man. -v help=FOLDER has what
# each command says by --help. Parts:
#	head	 NAME, SYNOPSIS, DESCRIPTION with what is said first
#	about	 the same without NAME
#	options	 OPTIONS, and what is said below them
#	commands a list of the commands, with their pages
#	parts	 all of each command, where several have one page
#	keys	 the keys of a section of docs/fleet-file.md, as it has them in a table

# As roff takes it literally: \-\- is what can be copied from a page and typed.
function literal(text) {
	gsub(/\\/, "\\e", text)
	gsub(/--/, "\\-\\-", text)
	return text
}
function put(line) {
	print line >out
}
# Text, a line a sentence.
function paragraph(text,    n, i, sentence) {
	text = literal(text)
	gsub(/\. /, ".\n", text)
	n = split(text, sentence, "\n")
	for (i = 1; i <= n; i++)
		put((sentence[i] ~ /^[.']/ ? "\\&" : "") sentence[i])
}
# An option, its other names and its argument. A comma in the argument's name has no blank after it.
function item(names,    n, i, option, word, line) {
	n = split(names, option, /, +/)
	for (i = 1; i <= n; i++) {
		word = substr(option[i], 2)
		if (word == "?")
			word = "\\&?"
		line = line (line == "" ? "" : " , ") "Fl "
		if (word ~ /=/)
			line = line substr(word, 1, index(word, "=") - 1) " Ns = Ns Ar " substr(word, index(word, "=") + 1)
		else
			line = line word
	}
	put(".It " line)
}

# Takes to pieces what a command says by --help.
function read_help(command,    file, line, after) {
	file = help "/" command
	n_usage = n_about = n_options = n_below = n_commands = 0
	title = ""
	while ((getline line <file) > 0) {
		if (line ~ /^$/) {
			continue
		} else if (line ~ /^Usage: / || line ~ /^  or:  / || line ~ /^usage: /) {
			usage[++n_usage] = substr(line, 8)
		} else if (index(line, command " - ") == 1) {
			title = substr(line, length(command) + 4)
		} else if (title != "") {
			if (line ~ /^  [a-z]/)
				commands[++n_commands] = line
		} else if (line ~ /^Mandatory or optional arguments/) {
			after = 1
		} else if (!after && line ~ /^ +-/) {
			sub(/^ +/, "", line)
			match(line, /   +/)
			left[++n_options] = RSTART ? substr(line, 1, RSTART - 1) : line
			doc[n_options] = RSTART ? substr(line, RSTART + RLENGTH) : ""
		} else if (!after && line ~ /^ [A-Z]/) {
			left[++n_options] = ""
			doc[n_options] = substr(line, 2)
		} else if (!after && !n_options) {
			about[++n_about] = line
		} else {
			after = 1
			below[++n_below] = line
		}
	}
	close(file)
	if (!n_usage) {
		print "ci/man: " FILENAME ": no command says what it is: " command | "cat >&2"
		exit 1
	}
}
# What the list of commands says of one.
function summary(command,    file, line, found, word) {
	word = command
	if (!sub(/^.* /, "", word))
		return title
	file = help "/" substr(command, 1, length(command) - length(word) - 1)
	while ((getline line <file) > 0)
		if (line ~ "^  " word " ") {
			sub(/^  [^ ]+ +/, "", line)
			found = line
		}
	close(file)
	return found
}
function put_usage(    i, words, program) {
	for (i = 1; i <= n_usage; i++) {
		words = literal(usage[i])
		program = words
		sub(/ .*/, "", program)
		sub(/^[a-z]+ */, "", words)
		gsub(/\[OPTION\.\.\.\]/, "[OPTION ...]", words)
		gsub(/[A-Z][A-Z]+/, "\\fI&\\fP", words)
		put(".Nm " program)
		if (words != "")
			put(words)
	}
}
function put_about(    i) {
	for (i = 1; i <= n_about; i++) {
		if (i > 1)
			put(".Pp")
		paragraph(about[i])
	}
}
function put_options(    i, open) {
	for (i = 1; i <= n_options; i++) {
		if (!open || left[i] == "")
			put(left[i] == "" ? (open ? ".El\n.Pp" : ".Pp") : ".Bl -tag -width Ds")
		open = left[i] != ""
		if (open)
			item(left[i])
		paragraph(doc[i])
	}
	if (open)
		put(".El")
}
# Paragraphs, and lists of words with what they mean.
function put_below(    i, open, line) {
	for (i = 1; i <= n_below; i++) {
		line = below[i]
		if (line ~ /^  [a-z]+ /) {
			if (!open)
				put(".Bl -tag -width Ds")
			open = 1
			sub(/^ +/, "", line)
			put(".It Cm " substr(line, 1, index(line, " ") - 1))
			sub(/^[a-z]+ +/, "", line)
		} else {
			put(open ? ".El\n.Pp" : ".Pp")
			open = 0
		}
		paragraph(line)
	}
	if (open)
		put(".El")
}
function put_commands(command,    i, word, page) {
	put(".Bl -tag -width Ds")
	for (i = 1; i <= n_commands; i++) {
		word = substr(commands[i], 3)
		sub(/ .*/, "", word)
		page = command "-" word
		put(page in section ? ".It Xr " page " " section[page] : ".It Cm " word)
		paragraph(substr(commands[i], 3 + length(word) + match(substr(commands[i], 3 + length(word)), /[^ ]/) - 1))
	}
	put(".El")
}
function put_parts(command,    i, n, word) {
	n = n_commands
	for (i = 1; i <= n; i++) {
		word[i] = substr(commands[i], 3)
		sub(/ .*/, "", word[i])
	}
	for (i = 1; i <= n; i++) {
		read_help(command " " word[i])
		put(".Ss " command " " word[i] "\n.Bd -ragged -offset indent")
		put_usage()
		put(".Ed\n.Pp")
		put_about()
		put_options()
		put_below()
	}
}
function put_keys(heading,    file, line, here, cell) {
	file = "docs/fleet-file.md"
	put(".Bl -tag -width Ds")
	while ((getline line <file) > 0) {
		if (line ~ /^## /)
			here = line == "## " heading
		if (!here || line !~ /^\| `/)
			continue
		gsub(/`/, "", line)
		split(line, cell, / *\| */)
		put(".It Cm " cell[2])
		paragraph("(" cell[3] "; " (cell[4] == "required" ? "" : "default: ") cell[4] ")")
		paragraph(cell[5])
	}
	close(file)
	put(".El")
}
function put_part(kind, command,    name) {
	if (kind == "keys") {
		put_keys(command)
		return
	}
	read_help(command)
	name = command
	gsub(/ /, "-", name)
	if (kind == "head")
		put(".Sh NAME\n.Nm " name "\n.Nd " literal(summary(command)))
	if (kind == "head" || kind == "about") {
		put(".Sh SYNOPSIS")
		put_usage()
		put(".Sh DESCRIPTION")
		put_about()
	} else if (kind == "options") {
		put(".Sh OPTIONS")
		put_options()
		put_below()
	} else if (kind == "commands") {
		put_commands(command)
	} else if (kind == "parts") {
		put_parts(command)
	} else {
		print "ci/man: " FILENAME ": no such part: " kind | "cat >&2"
		exit 1
	}
}
BEGIN {
	folder = out
	out = ""
	for (i = 1; i < ARGC; i++) {
		page = ARGV[i]
		sub(/.*\//, "", page)
		section[substr(page, 1, length(page) - 2)] = substr(page, length(page))
	}
}
FNR == 1 {
	if (out != "")
		close(out)
	out = FILENAME
	sub(/.*\//, folder "/", out)
	made = 0
}
/^\.\\" end$/ { made = 0 }
!made { put($0) }
/^\.\\" begin [a-z]+: / {
	made = 1
	kind = $3
	sub(/:$/, "", kind)
	command = $0
	sub(/^[^:]*: /, "", command)
	put_part(kind, command)
}
END {
	close(out)
	if (made) {
		print "ci/man: a part without an end in " FILENAME | "cat >&2"
		exit 1
	}
}
