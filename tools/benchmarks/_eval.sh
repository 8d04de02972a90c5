# Sourced by the evaluations, which say NAME, WHAT they are and their DEFAULT_CONFIG:
#   . _eval.sh NAME WHAT DEFAULT_CONFIG CHECKPOINT [GPUS] [CONFIG] [arguments of tools/train.py]
set -euo pipefail
benchmarks=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$benchmarks/../_python.sh"

name=$1 what=$2 default=$3
shift 3
usage() {
    cat <<END
$what
usage: $name CHECKPOINT [GPUS] [CONFIG] [ARGS...]
  CHECKPOINT  a checkpoint of pretraining as it is, a bare backbone, or 'random';
              'random-rescaled' where the config rescales
  GPUS        processes, one GPU each; without a GPU they run on the CPU (default 1)
  CONFIG      default: configs/benchmarks/$default
  ARGS        of tools/train.py, such as
                --cfg-options data_root=/data/imagenet randomness.seed=0
${usage_args:-                --labelled-folder DIR   photos in DIR/{train,val\}/<class>/ instead}
                --work-dir DIR          default: work_dirs/<config>/<checkpoint>[_seed<N>]
                --resume                go on where a run stopped
Ends with the table of the source, the measured row beside the published one, and
writes it to results.json and results.md in the work directory.
Environment: PORT (29500), PYTHON, NNODES, NODE_RANK, MASTER_ADDR.
END
    [ -z "${usage_more:-}" ] || echo "$usage_more"
}
for arg in "$@"; do
    case $arg in -h | --help) usage && exit 0 ;; esac
done
if [ $# -lt 1 ] || [[ $1 == --* ]]; then
    usage >&2
    exit 2
fi

checkpoint=$1 gpus=1 config=$benchmarks/../../configs/benchmarks/$default
shift
if [ $# -gt 0 ] && [[ $1 != --* ]]; then
    gpus=$1
    shift
fi
if [ $# -gt 0 ] && [[ $1 != --* ]]; then
    config=$1
    shift
fi
case $checkpoint in
random | random-rescaled | *://*) ;;
*) [ -f "$checkpoint" ] || die "CHECKPOINT=$checkpoint: expected a file, or 'random'" ;;
esac
[ -f "$config" ] || die "CONFIG=$config: no such file"

# epoch_100.pth of work_dirs/nin4_cifar10 becomes nin4_cifar10_epoch_100
run=$(basename "$checkpoint" .pth)
if [ -f "$checkpoint" ]; then
    run=$(basename "$(dirname "$(realpath "$checkpoint")")")_$run
fi
for arg in "$@"; do
    [[ $arg != randomness.seed=* ]] || run+=_seed${arg#*=}
done
work_dir=work_dirs/$(basename "$config" .py)/$run
args=()
while [ $# -gt 0 ]; do
    case $1 in
    --work-dir)
        [ $# -gt 1 ] || die "--work-dir: expected a folder"
        work_dir=$2
        shift
        ;;
    --work-dir=*) work_dir=${1#--work-dir=} ;;
    *) args+=("$1") ;;
    esac
    shift
done

evaluate() { # WORK_DIR [ARGS...]
    "$benchmarks/../dist_train.sh" "$config" "$gpus" --backbone "$checkpoint" --work-dir "$1" \
        "${args[@]}" "${@:2}"
}
