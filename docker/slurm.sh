#!/usr/bin/env bash
#SBATCH --job-name=eig-tune
#SBATCH --nodes=3
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=12:00:00
#SBATCH --output=%x-%j.log
# sbatch [--gpus-per-node=4] docker/slurm.sh --space search_spaces/mnist.yaml [further options of `eig-tune search`]
# Ray's head on the job's first node, where this script runs, a worker on each of the others, then the search.
# Submitted from a folder that all nodes see, with eig-tune on the PATH (`source .venv/bin/activate`). Submitted again,
# it goes on where it was.
set -euo pipefail

mapfile -t hosts < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
first=${hosts[0]} nodes=${#hosts[@]}
port=$((20000 + SLURM_JOB_ID % 10000)) # another job on the same node has another one
address=$first:$port
ray=(ray start --block "--num-cpus=${SLURM_CPUS_PER_TASK:-1}" --dashboard-agent-listen-port=0)

umask 077
RAY_AUTH_TOKEN_PATH=$(mktemp "$PWD/.ray-token-$SLURM_JOB_ID-XXXXXX")
export RAY_AUTH_TOKEN_PATH RAY_AUTH_MODE=token RAY_TMPDIR=${TMPDIR:-/tmp}/eig-$SLURM_JOB_ID
# A node that is silent is given up after 24 s, not 65: its trials go on elsewhere one report further back.
export RAY_health_check_timeout_ms=5000 RAY_health_check_failure_threshold=3
od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$RAY_AUTH_TOKEN_PATH"
finish() {
    rm -f "$RAY_AUTH_TOKEN_PATH"
    # shellcheck disable=SC2046
    kill $(jobs -p) 2>/dev/null || true
    wait
}
trap finish EXIT

srun --overlap --nodes=1 --ntasks=1 --nodelist="$first" \
    "${ray[@]}" --head "--port=$port" "--ray-client-server-port=$((port + 10000))" --include-dashboard=false &
if [ "$nodes" -gt 1 ]; then
    srun --overlap --nodes=$((nodes - 1)) --ntasks=$((nodes - 1)) --exclude="$first" \
        "${ray[@]}" "--address=$address" &
fi

for ((tries = 150; ; tries--)); do
    there=$(ray status --address "$address" 2>/dev/null | grep -c ' node_') || true
    [ "$there" -lt "$nodes" ] || break
    [ "$tries" -gt 0 ] || { echo "only $there of $nodes nodes have joined Ray" >&2 && exit 1; }
    sleep 2
done
eig-tune search --address "$address" --resume "$@"
