# SPDX-License-Identifier: GPL-2.0-or-later
# Takes the examples out of Markdown and manual pages. An example is a block of ```sh, or a block with a line
# that is a command: "$ ..." or one that begins with a program's name. Writes each to -v out=FOLDER/NNN, a
# first line "FILE:LINE" before it, and prints the names.

function is_command(line) {
	return line ~ /^ *\$ / || line ~ /^(mbctl|mbagent|mbserver|make|openssl|sqlite3|curl|apt|apt-get|dpkg|systemctl|export|cp|cat|kill|rmmod|insmod|modprobe|git|sudo|ci\/|tests\/|build\/)[^ ]*( |$)/
}
function end_block(    file, i) {
	if (!example || !n)
		return
	file = sprintf("%s/%03d", out, ++count)
	print FILENAME ":" first >file
	for (i = 1; i <= n; i++)
		print line[i] >file
	close(file)
	print file
}
FNR == 1 { inside = 0; section = "" }
FILENAME ~ /\.md$/ && /^ *```/ {
	if (inside) {
		end_block()
		inside = 0
	} else {
		inside = 1
		n = 0
		first = FNR
		example = /```(sh|bash|console)$/
	}
	next
}
FILENAME !~ /\.md$/ && /^\.Sh / { section = $2 }
FILENAME !~ /\.md$/ && section == "EXAMPLES" && /^\.Bd / { inside = 1; n = 0; first = FNR; example = 1; next }
FILENAME !~ /\.md$/ && /^\.Ed/ {
	if (inside)
		end_block()
	inside = 0
	next
}
inside {
	if (FILENAME !~ /\.md$/)
		gsub(/\\e/, "\\")
	line[++n] = $0
	if (is_command($0))
		example = 1
}
