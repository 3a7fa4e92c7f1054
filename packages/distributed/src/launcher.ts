/** What a launcher says about this process. */
export interface Launched {
  /** `mpirun of Open MPI`, `srun`, … */
  readonly launcher: string;
  /** The variable that says so. */
  readonly variable: string;
  /** Processes that it started; undefined where it does not say. */
  readonly size: number | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

const SIZES = [
  ["OMPI_COMM_WORLD_SIZE", "mpirun of Open MPI"],
  ["PMI_SIZE", "mpiexec of MPICH"],
] as const;

/** The launcher that started this process as one of several; undefined for a process that was started alone. */
export function launchedBy(environment: Environment): Launched | undefined {
  for (const [variable, launcher] of SIZES) {
    const size = Number(environment[variable]);
    if (size >= 1) return { launcher, variable, size };
  }
  // A batch script has SLURM_NTASKS too; only a task of srun has the number of tasks in its step.
  const { SLURM_STEP_NUM_TASKS: tasks, SLURM_STEP_ID: step, PMIX_RANK: rank } = environment;
  if (step !== undefined && Number(tasks) >= 1)
    return { launcher: "srun", variable: "SLURM_STEP_NUM_TASKS", size: Number(tasks) };
  if (rank === undefined) return undefined;
  return { launcher: "a PMIx launcher", variable: "PMIX_RANK", size: undefined };
}
