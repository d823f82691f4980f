#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The example of a CI job, docs/ci-example.yml, its steps as they stand: two commits of a toy program, the second
# of which dirties more, so that the job fails; a third that does not.
set -eu
. tests/flow/lib.sh
export PATH=$PWD/$BUILD:$PATH
job=$PWD/docs/ci-example.yml
repo=$dir/repo
mkdir "$repo"

# The command of one step: step NAME
step() {
	awk -v want="$1" '
		/^      - / { name = ""; block = 0 }
		/^      - name: / { name = substr($0, 15) }
		name == want && /^        run: \|$/ { block = 1; next }
		name == want && /^        run: / { print substr($0, 14); next }
		block && /^          / { print substr($0, 11); next }
		block { block = 0 }' "$job" >"$dir/step"
	[ -s "$dir/step" ] || fail "no step \"$1\" in the example"
	(cd "$repo" && bash -e "$dir/step" >"$dir/out" 2>&1)
}

# A commit whose program rewrites so many of its pages a step: commit PAGES
commit() {
	cat >"$repo/toy.c" <<-END
		#include <stdlib.h>
		#include <unistd.h>
		static char memory[400][4096];
		static void epoch(void)
		{
			const char *ask = getenv("MB_EPOCH_ASK_FD"), *done = getenv("MB_EPOCH_DONE_FD");
			char byte = 0;
			if (ask && done && (write(atoi(ask), &byte, 1) != 1 || read(atoi(done), &byte, 1) != 1))
				exit(1);
		}
		int main(void)
		{
			for (int i = 0; i < 400; i++)
				memory[i][0] = 1;
			epoch();
			for (int step = 0; step < 4; step++) {
				for (int i = 0; i < $1; i++)
					memory[i][8 * step]++;
				epoch();
			}
			return 0;
		}
	END
	printf 'toy: toy.c\n\tcc -O1 -o toy toy.c\n' >"$repo/Makefile"
	git -C "$repo" add toy.c Makefile
	git -C "$repo" -c user.name=t -c user.email=t@example.com commit -qm "dirty $1 pages a step"
}

git -C "$repo" init -q
commit 100
step Build || fail "build: $(cat "$dir/out")"
step 'Measure, and hold against the base' || fail "the first commit: $(cat "$dir/out")"
step 'Keep as the base'
before=$(jq '.metrics.dirtied.mean' "$repo/churn.json")

commit 130
step Build
code=0
step 'Measure, and hold against the base' || code=$?
is $code 123 "exit code of the second commit"
grep -q 'WORSE.*dirtied' "$dir/out" || fail "does not say what is worse: $(cat "$dir/out")"
grep -q '<failure type="regression"' "$repo/churn.xml" || fail "no failure in the JUnit XML"
grep -q 'class="bad"' "$repo/churn.html" || fail "the HTML does not say that it is worse"
# A page or so may be written between asking and waiting, and count to either epoch.
jq -e --argjson before "$before" '.metrics.dirtied | (.mean - $before - 30 | fabs) < 2 and (.values | length) == 5' \
	"$repo/churn.json" >/dev/null || fail "dirtied: $before, then $(jq -c .metrics.dirtied "$repo/churn.json")"

# What trackers of benchmarks read.
jq -e 'type == "array" and (map(select((.name | type) == "string" and (.unit | type) == "string" and
	(.value | type) == "number")) | length) == length and any(.name == "toy: dirtied")' \
	"$repo/churn-github.json" >/dev/null || fail "churn-github.json"
jq -e '.toy.dirtied | .value >= .lower_value and .value <= .upper_value' "$repo/churn-bencher.json" >/dev/null ||
	fail "churn-bencher.json"

commit 100
step Build
step 'Measure, and hold against the base' || fail "the third commit: $(cat "$dir/out")"
grep -q 'ok .*dirtied' "$dir/out" || fail "was not held against the base: $(cat "$dir/out")"

# Standard input cannot be read twice: without figures of benchmarks it need not be.
seq 1 9 | tee "$dir/nine.txt" >"$dir/piped.txt"
is "$("$mbctl" analyze --json "$dir/nine.txt" - <"$dir/piped.txt" | jq '.pairs[0].inter')" 9 "a trace from standard input"
refuses 'a benchmark needs a file' "$mbctl" analyze --github "$dir/g.json" - <"$dir/piped.txt"
