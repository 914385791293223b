#!/bin/sh
# Starts the loaders of job.yaml together, fetches their results, and merges them:
#
#   ./fleet.sh [MANIFEST] [RESULTS]      (job.yaml, ./results)
#
# Needs kubectl with a namespace to work in, and aisloader. START_IN_S is the time from the word to the start of the
# clock: every pod must run by then, images pulled.

set -eu
here=$(dirname "$0")
manifest=${1:-$here/job.yaml}
results=${2:-results}
job=aisloader
mkdir -p "$results"

start_at=$(($(date +%s) + ${START_IN_S:-60}))
sed "s/value: \"START_AT\"/value: \"$start_at\"/" "$manifest" | kubectl create -f -
pods=$(kubectl get job "$job" -o 'jsonpath={.spec.completions}')
echo "$pods loaders start at $start_at"

index=0
parts=
status=0
while [ "$index" -lt "$pods" ]; do
    chosen="batch.kubernetes.io/job-name=$job,batch.kubernetes.io/job-completion-index=$index"
    until kubectl wait pod -l "$chosen" --for=condition=Ready --timeout=60s >/dev/null 2>&1; do
        # No pod that could become ready any more: the loader did not get to its end.
        if [ "$(kubectl get job "$job" -o 'jsonpath={.status.failed}')" ]; then
            kubectl describe pod -l "$chosen"
            exit 1
        fi
        sleep 1
    done
    pod=$(kubectl get pod -l "$chosen" -o 'jsonpath={.items[0].metadata.name}')
    # Copied by cat, and not from the log: logs are cut when they grow.
    if kubectl exec "$pod" -c result -- cat /results/result >"$results/$index.jsonl"; then
        parts="$parts $results/$index.jsonl"
    else
        status=1
    fi
    [ "$(kubectl exec "$pod" -c result -- cat /results/status)" = 0 ] || status=1
    kubectl exec "$pod" -c result -- touch /results/fetched
    index=$((index + 1))
done
# shellcheck disable=SC2086  # a list of paths
[ "$pods" -lt 2 ] || aisloader merge -o "$results/merged.jsonl" $parts
[ "$status" -eq 0 ] || echo "a loader failed: kubectl logs -l batch.kubernetes.io/job-name=$job -c load --prefix" >&2
exit "$status"
