#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The web page in a real browser: what it shows of a fleet, what clicks and keys do, what it asks for when
# the server wants a token. PICTURES=DIR keeps pictures: light and dark, wide and narrow.
set -eu -o pipefail
. tests/flow/lib.sh
. tests/bench/browser.sh
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

at_end() {
	browser_end
}
browser_start
pids+=("$driver_pid")

go "$http/"
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

# What audits found: none here, and that is said.
see '#n-audited' '^0 of 4$'
is "$(js "return document.querySelectorAll('#recalls tbody tr').length")" 4 "rows of trackers"
# An audit that missed something comes out in words, with what was missed where.
is "$(js "showRecall([{ vm: 'web1', host: 'h1', tracker: 'bpf', at_unix_ms: Date.now(), epoch: 60,
	since_start: { audits: 4, doubted: 1 }, audit: { audits: 1, doubted: 1, recall: 0.75, recall_all: 0.5, precision: 0.9,
	classes: { anon: { followed: true, changed: 40, stale: 10 }, slab: { followed: false, changed: 40, stale: 30 },
	file: { followed: true, changed: 1, stale: 0 } } } },
	{ vm: 'db1', host: null, tracker: 'bpf', since_start: { audits: 0, doubted: 0 }, audit: null }]);
	return [...document.querySelectorAll('#recalls tbody tr')[0].cells].map(c => c.textContent).slice(0, 9).concat(
		['#n-missed', '#n-doubted', '#n-worst'].map(id => document.querySelector(id).textContent)).join('|')")" \
	"web1|h1|bpf|75 %|50 %|90 %|10 anon, 30 slab (not followed)|yes|1 of 4|1|1|75 %" "trackers at a glance"

# A thousand rows are a page of them, and a word that finds the others.
is "$(js "return document.querySelector('#vms').parentElement.previousElementSibling.hidden")" true "no pager for four"
# In one go: what is asked for again meanwhile would put the four there.
is "$(js "fill('vms', [...Array(1000).keys()], i => ['vm' + i, i], i => 'vm' + i);
	const p = document.querySelector('#vms').parentElement.previousElementSibling, find = p.querySelector('input');
	const rows = () => [...document.querySelectorAll('#vms tbody th')].map(e => e.textContent), said = [rows().length];
	p.querySelector('button:last-of-type').click();
	said.push(rows()[0]);
	find.value = 'VM99';
	find.dispatchEvent(new Event('input'));
	said.push(rows().length, p.querySelector('span').textContent);
	find.value = '';
	return said.join('|')")" '25|vm25|11|1 to 11 of 11' "a thousand rows"

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
for width in 390 768 1280; do
	for scheme in light dark; do
		window $width $scheme
		js 'drawShare(); return showChurn()' >/dev/null
		is "$(too_wide)" "" "what does not fit $width pixels"
		is "$(pale)" "" "what is too pale, $scheme, $width pixels"
	done
done

# By keys alone: past the top, to all that can be used, seeing where one is; what must be scrolled is among it.
window 390 light
go "$http/"
see '#n-vms' '^4$'
press $'\ue004'
is "$(js "const e = document.activeElement, box = e.getBoundingClientRect();
	return e.className + ' ' + (box.left >= 0 && box.top >= 0)")" "skip true" "what Tab comes to first"
press $'\ue007'
is "$(js 'return document.activeElement.id')" main "where the skip link leads"
reached=
for ((n = 0; n < 40; n++)); do
	press $'\ue004'
	at=$(js "const e = document.activeElement, style = getComputedStyle(e);
		return (e.id || e.getAttribute('aria-label') || e.tagName) + (e === document.body ||
		style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 ? '' : ' unseen')")
	[[ $reached != *" $at;"* ]] || break
	reached+=" $at;"
	[ "$at" != make ] || break
done
is "$reached" " Hosts, memory in MB; VMs, memory in MB; set; matrix; vm; The last audit of each VM, the worst first; planner; make;" \
	"what Tab comes to"
press $'\ue007'
see '#answer' '^(1 move saves|2 moves save) '
# On a phone, too, a move is all there: its reason in sight below it.
is "$(js "const box = document.querySelector('#moves td:last-child').getBoundingClientRect();
	return box.width > 200 && box.right <= innerWidth")" true "a move's reason on a phone"
is "$(pale)" "" "what is too pale of a plan"
is "$(too_wide)" "" "what of a plan does not fit"
# Wide enough for all, nothing is left to scroll.
window 1280 light
all_fits() {
	[ "$(js "return document.querySelectorAll('.wide[tabindex]').length")" = 0 ]
}
wait_for 5 all_fits

# Reports of churn, of an agent's trace, a fleet and a VM: the same of them, and every table can be reached by keys.
"$BUILD/tests/tool_trace" "$dir/t.mbt" 5 2000 200 1 >/dev/null
"$mbagent" churn --source "trace:$dir/t.mbt" --html "$dir/trace.html" >/dev/null
"$mbctl" churn --server "$http" --token-file "$dir/token" --html "$dir/fleet.html" >/dev/null
"$mbctl" churn web1 --server "$http" --token-file "$dir/token" --html "$dir/vm.html" >/dev/null
for report in trace fleet vm; do
	go "file://$dir/$report.html"
	is "$(js "return document.querySelectorAll('table').length > 0 && [...document.querySelectorAll('table')].every(t =>
		t.rows.length > 1 && t.parentElement.tabIndex === 0 && t.parentElement.getAttribute('aria-label'))")" true \
		"tables of a report, $report"
	for width in 390 768 1280; do
		for scheme in light dark; do
			window $width $scheme
			is "$(too_wide)" "" "what of a report does not fit $width pixels, $report"
			is "$(pale)" "" "what of a report is too pale, $report, $scheme"
		done
	done
	[ -z "${PICTURES:-}" ] || { mkdir -p "$PICTURES" && picture "$PICTURES/churn-$report.png"; }
done
go "$http/"
see '#n-vms' '^4$'

[ -n "${PICTURES:-}" ] || exit 0
mkdir -p "$PICTURES"
for width in 390 768 1280; do
	for scheme in light dark; do
		window $width $scheme
		js 'drawShare(); return showChurn()' >/dev/null
		sleep 0.3
		picture "$PICTURES/$scheme-$width.png"
	done
done
