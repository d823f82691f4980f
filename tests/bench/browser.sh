# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A real browser, driven by WebDriver: for tests/flow/web.sh and tests/bench/web. The caller has $dir for
# what it leaves, and fail(); sets $driver_pid and $session.
# shellcheck disable=SC2154 # $dir

# browser_start: chromedriver, and a window of 1280 x 1000
browser_start() {
	local driver id tries
	chromedriver --port=0 >"$dir/driver.log" 2>&1 &
	# shellcheck disable=SC2034 # used by those who source this
	driver_pid=$!
	for ((tries = 0; tries < 400; tries++)); do
		! grep -q 'successfully on port' "$dir/driver.log" || break
		sleep 0.05
	done
	driver=http://127.0.0.1:$(sed -n 's/.*successfully on port \([0-9]*\).*/\1/p' "$dir/driver.log" | head -n 1)/session
	curl -s "$driver" -d "{ \"capabilities\": { \"alwaysMatch\": { \"goog:chromeOptions\": { \"args\": [ \"--headless=new\",
		\"--no-sandbox\", \"--disable-gpu\", \"--disable-dev-shm-usage\", \"--window-size=1280,1000\",
		\"--user-data-dir=$dir/profile\" ] }, \"goog:loggingPrefs\": { \"browser\": \"ALL\" } } } }" >"$dir/session"
	id=$(jq -r .value.sessionId "$dir/session")
	[ "$id" != null ] || fail "no browser: $(cut -c 1-400 "$dir/session")"
	session=$driver/$id
}

browser_end() {
	[ -z "${session:-}" ] || curl -s -X DELETE "$session" >/dev/null || :
}

go() {
	curl -s "$session/url" -d "{ \"url\": \"$1\" }" >/dev/null
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
# see SELECTOR PATTERN [TENTHS]: within 10 s, or so many tenths
see() {
	local tries
	for ((tries = 0; tries < ${3:-100}; tries++)); do
		! shows "$1" "$2" || return 0
		sleep 0.1
	done
	fail "$1 does not show $2 but: $(text "$1")"
}

cdp() {
	jq -n --arg c "$1" --argjson p "$2" '{ cmd: $c, params: $p }' | curl -s "$session/goog/cdp/execute" -d @-
}
# window WIDTH light|dark: with scrollbars above the page, as on a phone
window() {
	cdp Emulation.setScrollbarsHidden '{ "hidden": true }' >/dev/null
	cdp Emulation.setEmulatedMedia "{ \"features\": [ { \"name\": \"prefers-color-scheme\", \"value\": \"$2\" } ] }" >/dev/null
	cdp Emulation.setDeviceMetricsOverride "{ \"width\": $1, \"height\": 1000, \"deviceScaleFactor\": 1,
		\"mobile\": false }" >/dev/null
}
# picture FILE: of all of the page
picture() {
	cdp Page.captureScreenshot '{ "captureBeyondViewport": true, "format": "png" }' | jq -r .value.data | base64 -d >"$1"
}

# press KEY...: as on a keyboard, whatever has the focus (WebDriver's numbers for Tab and the like)
press() {
	jq -n '{ actions: [ { type: "key", id: "keys", actions: [ $ARGS.positional[] |
		{ type: "keyDown", value: . }, { type: "keyUp", value: . } ] } ] }' --args "$@" |
		curl -s "$session/actions" -d @- >/dev/null
}

# Words on the page that stand out too little from what is behind them (WCAG 2.1 AA: 4.5 to 1, large ones 3 to 1).
pale() {
	js "const parts = c => c.match(/[\\d.]+/g).map(Number);
		const light = c => c.slice(0, 3).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
			.reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
		const behind = e => {
			for (; e; e = e.parentElement) {
				const c = parts(getComputedStyle(e).backgroundColor);
				if (c.length === 3 || c[3] === 1)
					return c;
			}
			return matchMedia('(prefers-color-scheme: dark)').matches ? [0, 0, 0] : [255, 255, 255];
		};
		const bad = new Set();
		let seen = 0;
		for (const e of document.body.querySelectorAll('*')) {
			const words = [...e.childNodes].filter(n => n.nodeType === 3 && n.data.trim()), style = getComputedStyle(e);
			if (!words.length || !e.getClientRects().length || e.tagName === 'OPTION')
				continue;
			const a = light(parts(e.ownerSVGElement ? style.fill : style.color)), b = light(behind(e));
			const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
			seen++;
			if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5))
				bad.add(e.tagName + '.' + e.getAttribute('class') + ' ' + ratio.toFixed(2));
		}
		return seen < 5 ? 'only ' + seen + ' elements have words' : [...bad].join(', ')"
}
# What is cut off at the right of the page, or stands out there.
too_wide() {
	js "const all = document.documentElement.clientWidth, inside = e => e && (getComputedStyle(e).overflowX !== 'visible' ||
			inside(e.parentElement));
		return [...document.body.querySelectorAll('*')].filter(e => e.getClientRects().length &&
			e.getBoundingClientRect().right > all + 1 && !inside(e.parentElement) && !e.ownerSVGElement)
			.map(e => e.tagName + '#' + e.id).concat(document.documentElement.scrollWidth > all ? ['the page'] : []).join(', ')"
}
