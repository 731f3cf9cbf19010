#!/bin/sh
# An upgrade from triage-1.0 to triage-1.1, by commands alone: no key, no network.
# Run it in a copy of this folder that has ../suites beside it, for it writes here:
#   sh drill.sh
set -u

say() { printf '\n\n## %s\n' "$1"; }
run() { printf '$ %s\n' "$*"; "$@"; code=$?; [ "$code" = 0 ] || printf '(exit code %s)\n' "$code"; }
pin() { # the id of the pin of a model
    llmguard pin list --json | python3 -c '
import json, sys
print(next(p["id"] for p in json.load(sys.stdin) if p["model"] == sys.argv[1]))' "embedded:$1"
}
add() {
    run llmguard pin add triage --provider llama.cpp --model "embedded:$1" \
        --param temperature=0 --option prompt_format=raw --option queue=64 \
        --option 'ground={"order_id": "\\b(?:[A-Z]{2,3}-)?(?:\\d{4}-)?\\d{5}\\b"}' \
        --owner support-desk
}

say "Version 1.0 serves: the lock says so"
add triage-1.0
run llmguard which triage

say "Version 1.1 is allowed, and what would happen to it"
add triage-1.1
NEW=$(pin triage-1.1) OLD=$(pin triage-1.0)
run llmguard plan

say "The suite, as the plan asks for it"
run llmguard suite run triage --candidate "$NEW" --incumbent "$OLD" --seed 1 --quiet

say "The gate holds what the suite blocks"
run llmguard promote "$NEW" --to canary --weight 5%

say "Somebody knows better"
run llmguard promote "$NEW" --to canary --weight 5% --force "1.1 is better on the benchmark"
run llmguard which triage

say "And is wrong"
run llmguard rollback triage --reason "legal threats do not reach a person any more"
run llmguard promote "$NEW" --force "it was fine on Friday"

say "What happened, and does the record hold?"
run llmguard history triage --verify

say "For the release notes, and the deployment's manifest"
run llmguard notes
run llmguard notes --format k8s
