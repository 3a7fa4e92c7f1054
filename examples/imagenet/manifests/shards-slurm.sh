#!/bin/bash
# Packs an image folder into tar shards that a shared file system reads better than 1.28 million files:
#   sbatch shards-slurm.sh /data/imagenet /data/imagenet-shards
#SBATCH --job-name=dmae-shards
#SBATCH --cpus-per-task=2
#SBATCH --time=08:00:00
set -euo pipefail
[ $# -eq 2 ] || { echo "usage: sbatch shards-slurm.sh FROM TO" >&2; exit 2; }
cd "${DMAE_ROOT:-$SLURM_SUBMIT_DIR/../../..}/examples/imagenet"
npx tsx src/main.ts convert --from "$1" --to "$2" --as shards
