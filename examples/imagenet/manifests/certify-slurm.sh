#!/bin/bash
# Certifies one recipe with an array of eight jobs, job i takes every eighth image from the i-th:
#   sbatch certify-slurm.sh dmae-vit-b-imagenet-cr-0.50 /data/imagenet /runs/cr-0.50
# Submitted again after a failure it goes on where each job was; afterwards `--stage report` puts the logs together.
#SBATCH --job-name=dmae-certify
#SBATCH --array=0-7
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=24:00:00
#SBATCH --output=certify-%A-%a.log
set -euo pipefail
[ $# -eq 3 ] || { echo "usage: sbatch certify-slurm.sh RECIPE DATA RUN" >&2; exit 2; }
export UV_THREADPOOL_SIZE=8
cd "${DMAE_ROOT:-$SLURM_SUBMIT_DIR/../../..}/examples/imagenet"
# SLURM_ARRAY_TASK_ID and _COUNT say which shard this is
npx tsx src/main.ts --recipe "$1" --data "$2" --folder "$3" --stage certify --backend tfjs-node-gpu --workers 4
