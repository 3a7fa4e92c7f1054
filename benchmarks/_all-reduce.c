/*
 * The all-reduce of _distributed-worker.ts in C, also 4 MiB a call (one call for all takes longer):
 * mpirun -n 2 all-reduce <bytes ...> prints seconds by bytes as JSON.
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

enum { REPEATS = 9, WARM = 2, BUCKET = 1 << 20 };

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int count, char **arguments) {
  int rank, threads;
  MPI_Init_thread(&count, &arguments, MPI_THREAD_MULTIPLE, &threads);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  if (rank == 0) printf("{\"seconds\":{");
  for (int i = 1; i < count; i++) {
    long bytes = atol(arguments[i]);
    float *data = malloc(bytes);
    double took[REPEATS];
    for (long j = 0; j < bytes / 4; j++) data[j] = 1e-3f;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
      MPI_Barrier(MPI_COMM_WORLD);
      double started = MPI_Wtime();
      for (long at = 0; at < bytes / 4; at += BUCKET) {
        long left = bytes / 4 - at;
        int count = (int)(left < BUCKET ? left : BUCKET);
        MPI_Allreduce(MPI_IN_PLACE, data + at, count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
      }
      took[repeat] = MPI_Wtime() - started;
    }
    qsort(took + WARM, REPEATS - WARM, sizeof *took, compare);
    if (rank == 0)
      printf("%s\"%ld\":%.9f", i > 1 ? "," : "", bytes, took[WARM + (REPEATS - WARM) / 2]);
    free(data);
  }
  if (rank == 0) printf("}}\n");
  MPI_Finalize();
  return 0;
}
