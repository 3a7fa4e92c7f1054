#!/bin/bash
# Certifies CIFAR-10 in 20 shards: sbatch slurm.sh. Submitted again after a failure, finished shards have
# nothing to do and the others go on where they were. Afterwards:
#   npx -p @dmae/smoothing-certify smoothing-certify merge logs/*.tsv --out all.tsv
#SBATCH --job-name=certify-cifar10
#SBATCH --array=0-19
#SBATCH --cpus-per-task=4
#SBATCH --mem=4G
#SBATCH --time=24:00:00
#SBATCH --requeue

npx --yes -p @dmae/smoothing-certify -p @dmae/datasets -p onnxruntime-node smoothing-certify certify --model model.onnx --data cifar10:data \
  --sigma 0.25 --n 100000 --skip 20 --shard auto --quiet \
  --log "logs/$SLURM_ARRAY_TASK_ID.tsv"
