# What bench/dns, bench/ingress and bench/writes share: a cluster without a node, servers on one core, the load on the other.
# Sourced; expects KELSON, BENCH and WORK as bench/run sets them.
set -euo pipefail

SERVER_CORE=0 LOAD_CORE=1 ROUNDS=${ROUNDS:-3}
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true' EXIT

# background LOG COMMAND…: runs it until the script ends; its pid is the last of pids.
background() {
    local log=$1
    shift
    "$@" >"$WORK/$log.log" 2>&1 &
    pids+=($!)
}

# patiently COMMAND…: repeats it until it succeeds.
patiently() {
    local tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 300 ] || { echo "bench: in vain: $*" >&2; tail -n 5 "$WORK"/*.log >&2; exit 1; }
        sleep 0.1
    done
}

# cluster [PREFIX…]: a cluster without a node, started by that prefix.
cluster() {
    background up "$@" "$KELSON" up --disable-agent --data-dir "$WORK/state" --node-name bench
    patiently grep -q '^export KUBECONFIG=' "$WORK/up.log"
}

# cpu PID: the CPU time it has used, in hundredths of a second.
cpu() { sed -E 's/^.*\) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'; }

# median: of numbers, one a line.
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
