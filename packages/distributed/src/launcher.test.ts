import { expect, test } from "vitest";
import { launchedBy } from "./launcher.ts";

test.each([
  [{ OMPI_COMM_WORLD_SIZE: "4", PMIX_RANK: "1" }, "mpirun of Open MPI", 4],
  [{ PMI_SIZE: "2", PMI_RANK: "0" }, "mpiexec of MPICH", 2],
  [{ SLURM_STEP_ID: "0", SLURM_STEP_NUM_TASKS: "8", SLURM_NTASKS: "8" }, "srun", 8],
  [{ PMIX_RANK: "3" }, "a PMIx launcher", undefined],
])("%o is a rank", (environment, launcher, size) => {
  expect(launchedBy(environment)).toMatchObject({ launcher, size });
});

test.each([
  {},
  { SLURM_NTASKS: "8", SLURM_PROCID: "0" }, // a batch script that starts node itself
  { OMPI_COMM_WORLD_SIZE: "" },
])("%o was started alone", (environment) => {
  expect(launchedBy(environment)).toBeUndefined();
});
