/**
 * Lets a launcher start more ranks than there are cores, and lets root do so, as trials and tests need: what Open MPI 4,
 * Open MPI 5 and MPICH want to be told.
 */
export const trialEnvironment = {
  OMPI_ALLOW_RUN_AS_ROOT: "1",
  OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1",
  OMPI_MCA_rmaps_base_oversubscribe: "1",
  PRTE_ALLOW_RUN_AS_ROOT: "1",
  PRTE_ALLOW_RUN_AS_ROOT_CONFIRM: "1",
  PRTE_MCA_rmaps_default_mapping_policy: ":oversubscribe",
};
