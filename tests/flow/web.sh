#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The web page in a real browser: what it shows of a fleet, what clicks and keys do, what it asks for when
# the server wants a token. PICTURES=DIR keeps pictures: light and dark, wide and narrow.
set -eu -o pipefail
. tests/flow/lib.sh
for program in chromium chromedriver; do
	command -v $program >/dev/null || {
		echo "no $program (ci/deps web installs it)"
		exit 77
	}
done

# Two applications, a VM of each on each host: a plan has something to do.
vm() {
	"$mbagent" run --source "trace:$dir/$1.txt" --vm "$1" --host "$2" --interval 0 --server "unix:$dir/sock" \
		>"$dir/$1.log" 2>&1 || fail "agent: $(cat "$dir/$1.log")"
}
for n in 1 2; do
	{ seq 10000 14000 && seq $((n * 100000)) $((n * 100000 + 900)); } >"$dir/web$n.txt"
	{ seq 20000 23000 && seq $((n * 300000)) $((n * 300000 + 900)); } >"$dir/db$n.txt"
done
echo '{ "options": { "min_gain_mb": 1 }, "hosts": [ { "name": "h1", "memory_mb": 200 }, { "name": "h2", "memory_mb": 200 } ], "vms": [
	{ "name": "web1", "memory_mb": 60 }, { "name": "web2", "memory_mb": 60 },
	{ "name": "db1", "memory_mb": 60 }, { "name": "db2", "memory_mb": 60 } ] }' >"$dir/fleet.json"
"$mbctl" token add eve --role plan --file "$dir/tokens" >"$dir/token"
server --fleet "$dir/fleet.json" --tokens "$dir/tokens"
vm web1 h1 && vm web2 h2 && vm db1 h1 && vm db2 h2

chromedriver --port=0 >"$dir/driver.log" 2>&1 &
pids+=($!)
wait_for 20 grep -q 'successfully on port' "$dir/driver.log"
driver=http://127.0.0.1:$(sed -n 's/.*successfully on port \([0-9]*\).*/\1/p' "$dir/driver.log" | head -n 1)/session
curl -s "$driver" -d "{ \"capabilities\": { \"alwaysMatch\": { \"goog:chromeOptions\": { \"args\": [ \"--headless=new\",
	\"--no-sandbox\", \"--disable-gpu\", \"--disable-dev-shm-usage\", \"--window-size=1280,1000\",
	\"--user-data-dir=$dir/profile\" ] }, \"goog:loggingPrefs\": { \"browser\": \"ALL\" } } } }" >"$dir/session"
id=$(jq -r .value.sessionId "$dir/session")
[ "$id" != null ] || fail "no browser: $(cut -c 1-400 "$dir/session")"
session=$driver/$id
at_end() {
	curl -s -X DELETE "$session" >/dev/null || :
}

# js CODE: what it returns
js() {
	jq -n --arg s "$1" '{ script: $s, args: [] }' | curl -s "$session/execute/sync" -d @- | jq -r .value
}
element() {
	jq -n --arg s "$1" '{ using: "css selector", value: $s }' | curl -s "$session/element" -d @- |
		jq -r '.value | to_entries[0].value'
}
click() {
	local e
	e=$(element "$1")
	[ "$(curl -s "$session/element/$e/click" -d '{}' | jq -r .value)" = null ] || fail "cannot click $1"
}
keys() {
	local e
	e=$(element "$1")
	jq -n --arg t "$2" '{ text: $t }' | curl -s "$session/element/$e/value" -d @- >/dev/null
}
text() {
	js "return document.querySelector('$1').textContent"
}
shows() {
	text "$1" | grep -qE -- "$2"
}
see() {
	local tries
	for ((tries = 0; tries < 100; tries++)); do
		! shows "$@" || return 0
		sleep 0.1
	done
	fail "$1 does not show $2 but: $(text "$1")"
}

curl -s "$session/url" -d "{ \"url\": \"$http/\" }" >/dev/null
# A token first: nothing of the fleet is told without.
see '#state' 'token'
is "$(js "return document.querySelector('#login').hidden")" false "the question for a token"
is "$(text '#n-vms')" - "VMs without a token"
keys '#token' "$(cat "$dir/token")"
click '#login button'
see '#n-vms' '^4$'
is "$(js "return document.querySelector('#login').hidden")" true "the question for a token is answered"

# What it shows is what mbctl says.
"$mbctl" share --server "$http" --token-file "$dir/token" --json >"$dir/share.json"
see '#n-online' '^0 connected$'
is "$(js "return document.querySelectorAll('#vms tbody tr').length")" 4 "rows of VMs"
is "$(js "return document.querySelectorAll('#hosts tbody tr').length")" 2 "rows of hosts"
pages=$(jq '.identities[0] | [.vms[].name] as $n | .inter[$n | index("web1")][$n | index("web2")]' "$dir/share.json")
is "$pages" 4001 "what web1 and web2 share"
is "$(js "return [...document.querySelectorAll('#pairs tbody tr')[0].cells].map(c => c.textContent).join()")" \
	"web1,web2,15.6,h1, h2" "the pair that shares most"

# Those that are alike stand beside each other; keys move, and what is there is said.
is "$(js 'return shown.order.map(i => shown.share.identities[0].vms[i].name.slice(0, -1)).join()' |
	sed 's/web,web,db,db/db,db,web,web/')" db,db,web,web "the order of the matrix"
# So do those of a larger fleet, of ten kinds that come in turn.
is "$(js 'const n = 200, inter = [...Array(n)].map((_, i) => [...Array(n)].map((_, j) =>
	(i % 10 === j % 10 ? 900 : 100) + (i * j) % 7)), order = clusterOrder(inter, Array(n).fill(1000));
	return new Set(order).size + " " + order.filter((v, k) => k && v % 10 !== order[k - 1] % 10).length')" \
	"200 9" "VMs in order, borders between kinds"
keys '#matrix' $'\ue011\ue014' # Home, right
see '#cell' '^(web|db)([12]) on h\2 and \1[12] on h[12]: 1[15]\.[67] MB$'
keys '#matrix' $'\ue012' # left
see '#cell' '^(web|db)([12]) on h\2: 1[15]\.[67] MB that any other has$'

# A VM's history.
js "const s = document.querySelector('#vm'); s.value = 'web2'; s.dispatchEvent(new Event('change'))" >/dev/null
see '#inter' '15\.6|16'

# A plan.
click '#make'
see '#answer' '^(1 move saves|2 moves save) '
is "$(js "return document.querySelector('#moves').hidden")" false "the moves are shown"
moves=$("$mbctl" plan --server "$http" --token-file "$dir/token" --json | jq '.moves | length')
is "$(js "return document.querySelectorAll('#moves tbody tr').length")" "$moves" "rows of moves"
shows '#moves' 'of its pages are there already' || fail "no reason: $(text '#moves')"

# Nothing was refused by its own policy, and nothing came from elsewhere.
is "$(curl -s "$session/se/log" -d '{ "type": "browser" }' |
	jq -r '[.value[] | select(.level == "SEVERE") | .message | select(contains("401") | not)] | join("; ")')" "" "errors"
is "$(js "return performance.getEntriesByType('resource').every(e => e.name.startsWith('$http/') ||
	e.name.startsWith('data:'))")" true "all comes from this server"
# A name for all that can be used; nothing wider than a phone.
is "$(js "return [...document.querySelectorAll('select,input,button,canvas[tabindex]')].every(e =>
	e.labels && e.labels.length || e.textContent || e.getAttribute('aria-label'))")" true "labels"
narrow() {
	curl -s "$session/goog/cdp/execute" -d '{ "cmd": "Emulation.setDeviceMetricsOverride", "params":
		{ "width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": true } }' >/dev/null
}
narrow
is "$(js 'return document.documentElement.scrollWidth <= 390')" true "fits a phone"

[ -n "${PICTURES:-}" ] || exit 0
mkdir -p "$PICTURES"
for width in 390 1280; do
	for scheme in light dark; do
		curl -s "$session/goog/cdp/execute" -d "{ \"cmd\": \"Emulation.setEmulatedMedia\", \"params\":
			{ \"features\": [ { \"name\": \"prefers-color-scheme\", \"value\": \"$scheme\" } ] } }" >/dev/null
		curl -s "$session/goog/cdp/execute" -d "{ \"cmd\": \"Emulation.setDeviceMetricsOverride\", \"params\":
			{ \"width\": $width, \"height\": 1000, \"deviceScaleFactor\": 1, \"mobile\": false } }" >/dev/null
		js 'drawShare(); return showChurn()' >/dev/null
		sleep 0.3
		curl -s "$session/goog/cdp/execute" -d '{ "cmd": "Page.captureScreenshot", "params":
			{ "captureBeyondViewport": true, "format": "png" } }' | jq -r .value.data |
			base64 -d >"$PICTURES/$scheme-$width.png"
	done
done
