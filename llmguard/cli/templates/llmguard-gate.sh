#!/bin/sh
# Gates a change of models.lock: runs the suites of the routes whose pins changed.
#
# `llmguard init` puts it at ci/llmguard-gate.sh. Install your project and
# `llmguard-toolkit[suite]`, and run it in a clone that has the history of the base
# branch. It needs a shell and git.
#
#   GATE_BASE       what the change is compared with; origin/main unless given
#   GATE_OUT        folder of reports and journals; llmguard-gate unless given
#   GATE_MAX_COST   US dollars that each run may cost; needs GATE_PRICES
#   GATE_MAX_CALLS  calls that each run may make
#   GATE_PRICES     TOML file of prices
#
# Exit code: 0 every candidate may be promoted, or no model changed; 1 one is BLOCKED;
# 2 none is, but one is UNDECIDED; 3 something could not be judged. Whatever is not 0
# must keep the change from being merged.
set -u

base=${GATE_BASE:-origin/main}
out=${GATE_OUT:-llmguard-gate}
room=60000 # what a comment on a pull request may hold, with some to spare

mkdir -p "$out" || exit 3
: >"$out/comment.md" || exit 3
llmguard suite changed --base "$base" --strict >"$out/plan.txt" || exit 3
if [ ! -s "$out/plan.txt" ]; then
  echo "no pin changed since $base: nothing to gate"
  exit 0
fi

blocked=0 undecided=0 broken=0
while read -r suite candidate incumbent; do
  name=$suite-$candidate
  set -- --candidate "$candidate"
  [ -z "$incumbent" ] || set -- "$@" --incumbent "$incumbent"
  [ -z "${GATE_PRICES:-}" ] || set -- "$@" --prices "$GATE_PRICES"
  [ -z "${GATE_MAX_COST:-}" ] || set -- "$@" --max-cost "$GATE_MAX_COST"
  [ -z "${GATE_MAX_CALLS:-}" ] || set -- "$@" --max-calls "$GATE_MAX_CALLS"
  rm -f "$out/$name.jsonl" "$out/$name.md"
  llmguard suite run "$suite" "$@" \
    --journal "$out/$name.jsonl" --junit "$out/$name.xml" \
    --markdown "$out/$name.md" --html "$out/$name.html" </dev/null
  code=$?
  case $code in
    0) said=PROMOTE ;;
    1) said=BLOCK blocked=1 ;;
    2) said=UNDECIDED undecided=1 ;;
    *) said=ERROR broken=1 ;;
  esac
  echo "$said: suite $suite on $candidate"
  if [ ! -f "$out/$name.md" ]; then
    printf '## %s: `%s` on `%s`\n\nThere is no report; see the log.\n\n' \
      "$said" "$suite" "$candidate" >>"$out/comment.md"
  elif [ "$(cat "$out/comment.md" "$out/$name.md" | wc -c)" -gt "$room" ] &&
    [ -s "$out/comment.md" ]; then
    printf '## %s: `%s` on `%s`\n\nThe report is in `%s.html`.\n\n' \
      "$said" "$suite" "$candidate" "$name" >>"$out/comment.md"
  else
    cat "$out/$name.md" >>"$out/comment.md"
  fi
done <"$out/plan.txt"

[ $blocked = 0 ] || exit 1
[ $broken = 0 ] || exit 3
[ $undecided = 0 ] || exit 2
