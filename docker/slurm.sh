#!/usr/bin/env bash
#SBATCH --job-name=eig-tune
#SBATCH --nodes=3
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=12:00:00
#SBATCH --signal=B:USR1@180
#SBATCH --requeue
#SBATCH --no-kill
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
# sbatch [--gpus-per-node=4] docker/slurm.sh --space search_spaces/mnist.yaml [further options of `eig-tune search`]
# Ray's head on the job's first node, where this script runs, a worker on each of the others, then the search.
# Submitted from a folder that all nodes see, with eig-tune on the PATH or in its .venv. Three minutes before its time is
# over the search ends gently, and the job queues again, until all is done. A task of an array is a search of its own.
set -euo pipefail
ulimit -c 0
# Where eig-tune needs modules, load them here: what `sbatch --export=NONE` leaves out is missing otherwise.
[ ! -x .venv/bin/eig-tune ] || PATH=$PWD/.venv/bin:$PATH
say() { echo "$(date +%T) slurm.sh: $*" >&2; }
command -v eig-tune >/dev/null || { say "eig-tune is not on the PATH; activate its environment before sbatch" && exit 2; }
export SLURM_EXPORT_ENV=ALL        # the steps get what this script has, also after `sbatch --export=NONE`

mapfile -t hosts < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
first=${hosts[0]} port=$((20000 + SLURM_JOB_ID % 10000)) # another job on the same node has another one
ip=$(getent ahostsv4 "$first" | awk '$1 !~ /^127/ { print $1; exit }') || true
address=${ip:=$(hostname -I | awk '{ print $1 }')}:$port # a name may be slow to resolve, or another on each node
join_seconds=${EIG_JOIN_SECONDS:-600}
declare -A steps=() began=() failed=() gpus=()
if [ -n "${SLURM_GPUS:-}" ]; then # of `sbatch --gpus`, for the whole job: each step asks for those on its node
    for host in "${hosts[@]}"; do gpus[$host]=--gres=none; done
    while read -r nodes number; do
        for host in $(scontrol show hostnames "$nodes"); do gpus[$host]=--gpus=$number; done
    done < <(scontrol show job --details "$SLURM_JOB_ID" |
        sed -nE 's/^ *Nodes=([^ ]+) .* GRES=gpu(:[^:]*)?:([0-9]+)\(.*/\1 \3/p')
    unset SLURM_GPUS
fi

rm -f "$PWD/.ray-token-$SLURM_JOB_ID-"* # of a start of this job that was lost with its node
RAY_AUTH_TOKEN_PATH=$(mktemp "$PWD/.ray-token-$SLURM_JOB_ID-XXXXXX") # readable by this user alone
od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$RAY_AUTH_TOKEN_PATH"
RAY_TMPDIR=${TMPDIR:-/tmp}/eig-$SLURM_JOB_ID
[ ${#RAY_TMPDIR} -le 39 ] || RAY_TMPDIR=/tmp/eig-$SLURM_JOB_ID # Ray's sockets lie below it, whose paths may have 107 bytes
export RAY_AUTH_TOKEN_PATH RAY_AUTH_MODE=token RAY_TMPDIR
# A node that is silent is given up after 24 s, not 65: its trials go on elsewhere one report further back.
export RAY_health_check_timeout_ms=5000 RAY_health_check_failure_threshold=3

# shellcheck disable=SC2329 # it is invoked on the nodes
on_node() { # Ray on the node where this runs, which leaves nothing behind
    ulimit -c 0
    rm -rf "$RAY_TMPDIR" && mkdir -m 700 "$RAY_TMPDIR" || exit
    cpus=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)
    [ "${SLURM_CPUS_PER_TASK:-$cpus}" -ge "$cpus" ] || cpus=$SLURM_CPUS_PER_TASK
    ray start --block --log-color=false "--num-cpus=$cpus" --dashboard-agent-listen-port=0 --include-log-monitor=false "$@" &
    local ray=$! watch='' code=0 ended='' seconds
    # Ray may take a quarter of an hour to miss a head whose network is gone.
    [ "$1" = --head ] || { while sleep 30 &>/dev/null; do without_head; done & watch=$!; }
    trap 'ended=yes' TERM INT
    wait "$ray" || code=$?
    for ((seconds = 0; seconds < 15; seconds++)); do # after `scancel` the search may still be ending, while it has a token
        { [ -n "$ended" ] && [ -e "$RAY_AUTH_TOKEN_PATH" ] && kill -0 "$ray" 2>/dev/null; } || break
        sleep 1
    done
    kill -KILL "$ray" "${watch:-$ray}" 2>/dev/null
    pkill -KILL -U "$UID" -f "$RAY_TMPDIR/"
    rm -rf "$RAY_TMPDIR" || { sleep 1 && rm -rf "$RAY_TMPDIR"; } # while the last ones of Ray still wrote to it
    [ -z "$ended" ] || exit 0
    [ "$SECONDS" -lt 60 ] || without_head
    exit "$code"
}
# shellcheck disable=SC2329
without_head() { # a job whose script's node is lost keeps its other nodes, and nobody uses them: let it queue again
    until timeout 5 bash -c ": >/dev/tcp/$ip/$port" 2>/dev/null; do
        nodes=$(squeue --noheader --jobs="$SLURM_JOB_ID" --format=%N) || return 0
        if ! scontrol show hostnames "$nodes" | grep -qx "$first"; then
            echo "the job has lost $first, where its script ran; it queues again, to go on" >&2
            scontrol requeue "$SLURM_JOB_ID" || scancel "$SLURM_JOB_ID"
        fi
        sleep 10
    done
}
step() { # HOST and options of `ray start`: Ray there, as a step in the background
    local host=$1
    shift
    srun --overlap --no-kill --nodes=1 --ntasks=1 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" --nodelist="$host" \
        ${gpus[$host]:+"${gpus[$host]}"} bash -c "$(declare -p first ip port && declare -f on_node without_head)
            on_node \"\$@\"" on_node "$@" &
    steps[$host]=$! began[$host]=$SECONDS
}
runs() { jobs -pr | grep -qx "$1"; }
# shellcheck disable=SC2329 # a trap invokes it
finish() {
    trap '' TERM INT USR1
    rm -f "$RAY_AUTH_TOKEN_PATH"
    scancel --quiet --signal=TERM "$SLURM_JOB_ID" || true # to its steps alone, each of which tidies up its node
    for ((seconds = 0; seconds < 20; seconds++)); do
        [ -n "$(jobs -pr)" ] || break
        sleep 1
    done
    # shellcheck disable=SC2046
    kill $(jobs -pr) 2>/dev/null || true
    wait || true
}
search='' asked=''
ask() { # for a gentle end of the search
    asked=$1
    [ -z "$search" ] || kill -TERM "$search" 2>/dev/null || true
}
trap finish EXIT
trap 'ask TERM; { sleep 12 && rm -f "$RAY_AUTH_TOKEN_PATH"; } &' TERM INT # Slurm kills this script 30 s after `scancel`
trap 'ask time; say "the job has little time left"' USR1
pause() { sleep "$1" & wait $! || true; } # which a signal ends

step "$first" --head "--node-ip-address=$ip" "--port=$port" "--ray-client-server-port=$((port + 10000))" \
    --include-dashboard=false
for host in "${hosts[@]:1}"; do step "$host" "--address=$address"; done
until there=$(timeout 60 ray status --address "$address" 2>/dev/null | grep -c ' node_') && [ "$there" -ge ${#hosts[@]} ]; do
    for host in "${hosts[@]}"; do
        runs "${steps[$host]}" || { say "Ray has not started on $host: see above what srun or Ray says of it" && exit 1; }
    done
    [ -z "$asked" ] || exit 143
    if [ "$SECONDS" -ge "$join_seconds" ]; then
        [ "${there:-0}" -gt 0 ] || { say "no Ray at $address after $SECONDS s" && exit 1; }
        say "only $there of ${#hosts[@]} nodes have joined Ray in $SECONDS s; the search begins with those"
        break
    fi
    pause 1
done

own=()
if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then # the last of two options counts
    name='' seeded=''
    for ((i = 1; i <= $#; i++)); do
        next=$((i + 1))
        case ${!i} in
            --name=*) name=${!i#*=} ;;
            --name) name=${!next} ;;
            --space=*) name=${name:-$(basename "${!i#*=}" .yaml)} ;;
            --space) name=${name:-$(basename "${!next}" .yaml)} ;;
            --seed | --seed=*) seeded=yes ;;
        esac
    done
    own=(--name "$name-$SLURM_ARRAY_TASK_ID")
    [ -n "$seeded" ] || own+=(--seed "$SLURM_ARRAY_TASK_ID")
fi

begin_again() { # Ray on the nodes where it has ended; a node that ends it at once five times is let alone
    for host in "${hosts[@]:1}"; do
        ! runs "${steps[$host]}" && [ "${failed[$host]:-0}" -lt 5 ] && [ $((SECONDS - began[$host])) -ge 30 ] || continue
        [ $((SECONDS - began[$host])) -ge 120 ] && failed[$host]=0 || failed[$host]=$((${failed[$host]:-0} + 1))
        say "Ray has ended on $host; it is started again"
        step "$host" "--address=$address"
    done
}
begun=$SECONDS
for ((lost = 0; ; lost++)); do
    code=0
    [ -z "$asked" ] || break
    eig-tune search --address "$address" --resume "$@" "${own[@]}" &
    search=$!
    [ -z "$asked" ] || ask "$asked" # meanwhile
    while runs "$search"; do
        pause 5
        [ -n "$asked" ] || begin_again
    done
    wait "$search" || code=$?
    # What was killed goes on, but for ever; all other codes say what is wrong or done.
    if [ -n "$asked" ] || [ "$code" -lt 128 ] || [ "$lost" -ge 3 ] || ! runs "${steps[$first]}"; then break; fi
    say "the search was killed (exit code $code); it goes on"
done
if [ "$code" -ne 0 ] && [ -z "$asked" ] && ! runs "${steps[$first]}" && [ "${SLURM_RESTART_COUNT:-0}" -lt 3 ]; then
    say "Ray's head has ended on $first" && asked='head'
fi
if [ "$code" -ne 0 ] && { [ "$asked" = time ] || [ "$asked" = head ]; }; then
    [ $((SECONDS - begun)) -ge 30 ] || { say "the job's time is too short to get anywhere; give more" && exit "$code"; }
    say "the job queues again, to go on"
    finish
    scontrol requeue "$SLURM_JOB_ID" || say "it may not queue again: submit it once more, and it goes on"
fi
exit "$code"
