import process from "node:process";
import { fileURLToPath } from "node:url";
import { doctor } from "./doctor.ts";

const usage = `npx @dmae/distributed doctor
  which MPI, which launcher, whether ranks see each other; under mpirun or srun, of that job`;

const [command, ...rest] = process.argv.slice(2);
if (command !== "doctor" || rest.length > 0) {
  console.error(usage);
  process.exitCode = 2;
} else {
  try {
    const well = await doctor(fileURLToPath(import.meta.url), console.log);
    process.exitCode = well ? 0 : 1;
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
