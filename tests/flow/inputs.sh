#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Bad input to the agent: a clear error that names what and where, exit code 1; wrong usage: 2.
set -eu
. tests/flow/lib.sh

usage() {
	local code=0
	"$@" >"$dir/out" 2>&1 || code=$?
	[ $code = 2 ] || fail "exit code $code, not 2: $* ($(cat "$dir/out"))"
}

scan() {
	refuses "$1" "$mbagent" scan --source "$2" "${@:3}"
}

printf '1\n2\nx3\n' >"$dir/letters"
printf '1\n4294967296\n' >"$dir/wide"
: >"$dir/empty"
printf '12\n' | zstd -q >"$dir/ok.zst"
head -c 12 "$dir/ok.zst" >"$dir/cut.zst"
"$BUILD/tests/tool_trace" "$dir/t.mbt" 2 500 50 1 >/dev/null
head -c 3000 "$dir/t.mbt" >"$dir/cut.mbt"

scan 'letters.*line 3.*x' "trace:$dir/letters"
scan 'wide.*line 2.*32 bits' "trace:$dir/wide"
scan 'empty' "trace:$dir/empty"
scan 'cut.zst.*zstd' "trace:$dir/cut.zst"
scan 'cut.mbt.*ends inside' "trace:$dir/cut.mbt"
scan 'nothing.*No such file' "trace:$dir/nothing"
scan 'directory' "trace:$dir"
scan 'ELF' "elf:$dir/letters"
scan 'not one of' "tape:$dir/t.mbt"
scan '(no process|No such process)' "process:4194304"
scan 'PID' "process:abc"
scan '32 hex digits' "trace:$dir/t.mbt" --key "$dir/letters"
scan 'No such file' "trace:$dir/t.mbt" --key "$dir/nothing"
refuses 'none of tcp:HOST:PORT, unix:PATH' "$mbagent" run --source "trace:$dir/t.mbt" --server ftp:x
refuses 'File exists.*--force' "$mbagent" record --source "trace:$dir/t.mbt" --output "$dir/t.mbt"
usage "$mbagent"
usage "$mbagent" fly
usage "$mbagent" scan
usage "$mbagent" scan --source "trace:$dir/t.mbt" --bits 47
usage "$mbagent" run --source "trace:$dir/t.mbt" --vm 'a b'
usage "$mbserver" --sharing-interval soon

# The server: a database of something else, a folder that is not there, an address in use.
echo 'not a database, but long enough to be read as a header of one, or nearly so' >"$dir/db"
refuses 'database' "$mbserver" --db "$dir/db" --listen "unix:$dir/s" --http 127.0.0.1:0
refuses 'database' "$mbserver" --db "$dir/no/db" --listen "unix:$dir/s" --http 127.0.0.1:0
sqlite3 "$dir/other" 'CREATE TABLE theirs (x)'
sum=$(sha256sum <"$dir/other")
refuses 'another program' "$mbserver" --db "$dir/other" --listen "unix:$dir/s" --http 127.0.0.1:0
[ "$(sha256sum <"$dir/other")" = "$sum" ] || fail "a database of another program was changed"
echo '{"hosts": [{"name": "h", "memory_mb": -1}], "vms": []}' >"$dir/fleet.json"
refuses 'fleet.json.*memory_mb' "$mbserver" --db "$dir/db2" --fleet "$dir/fleet.json"
rm "$dir/db"
server --verbose
refuses 'in use' "$mbserver" --db "$dir/db3" --listen "unix:$dir/sock" --http 127.0.0.1:0
refuses 'another server has it' "$mbserver" --db "$dir/db" --listen "unix:$dir/s" --http 127.0.0.1:0
stop_server
"$mbagent" --version | grep -q mbagent
"$mbserver" --version | grep -q mbserver
