// <dmae-playground>: chooses an image and a model, certifies it as you watch, and attacks it.
import type { ModelName } from "@dmae/models";
import { radiusChart, radiusScale, voteRows } from "./charts.ts";
import { Compute, type Running } from "./compute.ts";
import { chooseImages, type Find } from "./image-choice.ts";
import type { ModelChoice, ModelFacts, Picture, Report, Source } from "./messages.ts";
import { difference, draw } from "./pictures.ts";
import { readSettings, setSigma, wireSettings } from "./settings.ts";
import { template } from "./template.ts";

type Result = Extract<Report, { result: unknown }>["result"];

/** Models that come with the page; the first one is loaded at once. */
const SHIPPED: readonly [ModelName, ...ModelName[]] = [
  "fashion-mnist-cr-0.25",
  "fashion-mnist-adv-cr-0.25",
  "fashion-mnist-adv-cr-0.50",
  "fashion-mnist-adv-cr-1.00",
];

class Playground extends HTMLElement {
  private readonly compute = new Compute();
  private readonly find: Find;
  private source: Source | undefined;
  private picture: Picture | undefined;
  private facts: ModelFacts | undefined;
  private choice: ModelChoice = { shipped: SHIPPED[0] };
  private running: Running<unknown> | undefined;
  private last: Result | undefined;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.innerHTML = template;
    this.find = <E extends Element>(id: string) => root.getElementById(id) as unknown as E;
  }

  connectedCallback(): void {
    const { find } = this;
    const select = find<HTMLSelectElement>("model");
    select.innerHTML = SHIPPED.map((name) => `<option>${name}</option>`).join("");
    if (!("gpu" in navigator)) find<HTMLOptionElement>("device").disabled = true;
    wireSettings(find);
    select.addEventListener("change", () => this.load({ shipped: select.value as ModelName }));
    this.wireFiles();
    find("device").addEventListener("change", () => this.load(this.choice));
    find("invert").addEventListener("change", () => this.read());
    find("certify").addEventListener("click", () => this.certify());
    find("attack").addEventListener("click", () => this.attack());
    find("save").addEventListener("click", () => this.save());
    find("save-image").addEventListener("click", () => this.saveImage());
    for (const id of ["stop", "give-up"])
      find(id).addEventListener("click", () => this.running?.stop());
    const ready = this.load(this.choice);
    void chooseImages(find, async (source) => {
      this.source = source;
      await ready;
      await this.read();
    });
  }

  disconnectedCallback(): void {
    this.compute.close();
  }

  private wireFiles(): void {
    const input = this.find<HTMLInputElement>("onnx");
    const numbers = (id: string) => this.find<HTMLInputElement>(id).value.split(",").map(Number);
    input.addEventListener("change", () => {
      const [file] = input.files ?? [];
      if (file) void this.load({ file, mean: numbers("mean"), std: numbers("std") });
    });
  }

  /** Runs one call; buttons and messages follow it. */
  private async run<T>(
    status: string,
    start: () => Running<T>,
    show: (result: T) => void,
  ): Promise<boolean> {
    const { find } = this;
    const line = find(status);
    this.running?.stop();
    line.classList.remove("error");
    const running = start();
    this.running = running;
    this.enable(false);
    try {
      show(await running.result);
      return true;
    } catch (error) {
      line.textContent = (error as Error).message;
      line.classList.add("error");
      return false;
    } finally {
      if (this.running === running) this.enable(true);
    }
  }

  private enable(isIdle: boolean): void {
    const set = (id: string, isEnabled: boolean) => {
      this.find<HTMLButtonElement>(id).disabled = !isEnabled;
    };
    set("certify", isIdle && this.picture !== undefined);
    set("save", isIdle);
    set("attack", isIdle && this.last !== undefined && !this.last.abstained);
    set("stop", !isIdle);
    set("give-up", !isIdle);
  }

  private async load(choice: ModelChoice): Promise<void> {
    const gpu = this.find<HTMLSelectElement>("device").value === "webgpu";
    const line = this.find("facts");
    line.textContent = "Loading …";
    const isLoaded = await this.run(
      "facts",
      () => this.compute.start("load", { model: choice, gpu }),
      (facts) => {
        if (facts.sigma && facts.name !== this.facts?.name) setSigma(this.find, facts.sigma);
        this.choice = choice;
        this.facts = facts;
        line.textContent = `${facts.name}: images of ${facts.shape.join(" x ")}`;
      },
    );
    if (!isLoaded) line.textContent += this.facts ? ` (${this.facts.name} is still in use)` : "";
    else if (this.source) await this.read();
  }

  private async read(): Promise<void> {
    const { source } = this;
    if (!source || !this.facts) return;
    const invert = this.find<HTMLInputElement>("invert").checked;
    this.last = undefined;
    for (const id of ["result", "found"]) this.find(id).hidden = true;
    this.find("attacked").textContent = "";
    await this.run(
      "status",
      () => this.compute.start("read", { source, invert }),
      (picture) => {
        this.picture = picture;
        draw(this.find("preview"), picture);
        this.find("status").textContent = "";
      },
    );
  }

  private async certify(): Promise<void> {
    const { picture, find } = this;
    if (!picture) return;
    const settings = readSettings(find);
    const results: Result[] = [];
    find("result").hidden = false;
    find("found").hidden = true;
    find("attacked").textContent = "";
    find("status").textContent = "Classifying noisy copies …";
    const report = (told: Report) => {
      if ("copies" in told) this.showCopies(told.copies, told.count);
      if (!("result" in told)) return;
      results.push(told.result);
      this.show(told.result);
      find("chart").innerHTML = radiusChart(results, settings.n, settings.sigma);
    };
    const start = () => this.compute.start("certify", { ...settings, picture }, report);
    await this.run("status", start, (result) => {
      this.last = result;
      this.show(result);
      find("status").textContent = this.sentence(result);
    });
  }

  private nameOf = (c: number): string => this.facts?.classNames?.[c] ?? `class ${c}`;

  private sentence({ prediction, radius, samples, ended, abstained }: Result): string {
    if (abstained) return `Abstains: ${samples} noisy copies do not suffice.`;
    const early = ended === "radius" ? `, stopped early after ${samples} noisy copies` : "";
    return `${this.nameOf(prediction)}: no change shorter than ${radius.toFixed(3)} changes this class${early}.`;
  }

  private show({ radius, pLower, samples, counts }: Result): void {
    this.find("r").textContent = radius.toFixed(3);
    this.find("p").textContent = pLower.toFixed(3);
    this.find("s").textContent = samples.toLocaleString("en");
    this.find("votes").innerHTML = voteRows(counts, this.nameOf);
  }

  private showCopies(data: Float32Array, count: number): void {
    const canvases = Array.from({ length: count }, (_, i) => {
      const canvas = document.createElement("canvas");
      draw(canvas, { data, shape: this.picture!.shape }, i);
      return canvas;
    });
    this.find("copies").replaceChildren(...canvases);
  }

  private async attack(): Promise<void> {
    const { picture, find, last } = this;
    if (!picture || !last) return;
    const line = find("attacked");
    const how = this.facts?.hasGradient ? "along gradients" : "along the votes";
    const report = (told: Report) => {
      if ("drawn" in told) line.textContent = `Searching ${how}: ${told.drawn} noisy copies …`;
    };
    line.textContent = `Searching ${how} …`;
    const start = () => this.compute.start("attack", { ...readSettings(find), picture }, report);
    await this.run("attacked", start, ({ success, adversarial, radius, point }) => {
      find("found").hidden = false;
      find("scale").innerHTML = radiusScale(last.radius, radius);
      for (const id of ["point", "change"]) find(id).parentElement!.hidden = !point;
      line.textContent = success
        ? `A change of ${radius.toFixed(3)} makes it ${this.nameOf(adversarial)}; the certified radius is ${last.radius.toFixed(3)}.`
        : "No change of class was found; that proves nothing.";
      if (!point) return;
      const changed = { data: point, shape: picture.shape };
      draw(find("point"), changed);
      draw(find("change"), difference(changed, picture));
    });
  }

  /** The certified pixels, for whoever verifies the certificate. */
  private saveImage(): void {
    const preview = this.find<HTMLCanvasElement>("preview");
    preview.toBlob((png) => png && download("image.png", png));
  }

  private async save(): Promise<void> {
    const { picture, find } = this;
    if (!picture) return;
    find("status").textContent = "Certifying again, with fresh noise, for the file …";
    const start = () => this.compute.start("issue", { ...readSettings(find), picture });
    await this.run("status", start, (certificate) => {
      const text = `${JSON.stringify(certificate, null, 2)}\n`;
      download("certificate.json", new Blob([text], { type: "application/json" }));
      const { prediction, radius } = certificate;
      find("status").textContent =
        prediction < 0
          ? "certificate.json: abstains."
          : `certificate.json: ${this.nameOf(prediction)}, radius ${radius.toFixed(3)}.`;
    });
  }
}

/** Hands a file to the browser's downloads. */
function download(name: string, content: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

if (!customElements.get("dmae-playground")) customElements.define("dmae-playground", Playground);
