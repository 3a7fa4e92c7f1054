/** One line of the doctor's report. */
export interface Check {
  /** What was looked at: `addon`, `driver`, … */
  readonly name: string;
  /** `failure`: it does not work as it stands. `warning`: it works, but not as well as it could. */
  readonly status: "ok" | "warning" | "failure";
  /** What is there. */
  readonly found: string;
  /** The command that mends it. */
  readonly fix?: string;
}
