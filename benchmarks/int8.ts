// What int8 costs a certificate, and what certify costs int8. DMAE_INT8 chooses among
//   rules         range rules and bits of the weights, by the classes of noisy test images that stay the same
//   certificates  certified accuracy in float32 and int8 from the same noise; an interrupted run goes on
//   cpus          which bits depend on the CPU (needs DMAE_QEMU)
//   overhead      the int8 program alone against certify with it (needs no model)
// DMAE_MODEL is the quickstart's finetune/model.safetensors (npm start leaves it in its run folder); DMAE_IMAGES and
// DMAE_N set how many test images and noisy copies of each (500 and 10,000: an hour on two cores), DMAE_BITS the
// weights' bits that are certified (7 or 7,8).
import "@tensorflow/tfjs-backend-cpu";
import process from "node:process";
import { compareCertificates } from "./_int8-certificates.ts";
import { compareCpus } from "./_int8-cpus.ts";
import { readParams } from "./_int8-model.ts";
import { compareOverhead } from "./_int8-overhead.ts";
import { compareRules } from "./_int8-rules.ts";

/** Prints the tables. */
export async function int8Benchmark(): Promise<void> {
  const { DMAE_INT8, DMAE_MODEL: path, DMAE_IMAGES, DMAE_N, DMAE_BITS } = process.env;
  const parts = (DMAE_INT8 ?? "rules,certificates,cpus,overhead").split(",");
  if (!path)
    console.log(
      "rules and certificates skipped: set DMAE_MODEL to the model.safetensors that the quickstart trained (npm start)",
    );
  else {
    const constants = await readParams(path);
    const images = Number(DMAE_IMAGES ?? 100);
    const n = Number(DMAE_N ?? 1000);
    const bits = (DMAE_BITS ?? "7").split(",").map(Number) as (7 | 8)[];
    if (parts.includes("rules")) await compareRules(constants);
    if (parts.includes("certificates"))
      await compareCertificates(constants, { path, images, n, bits });
    if (parts.includes("cpus")) await compareCpus(constants);
  }
  if (parts.includes("overhead")) await compareOverhead();
}
