// Where the image comes from: a test image, a drawing, a file or the camera.
import { makeDrawable } from "./drawing.ts";
import type { Source } from "./messages.ts";
import { pixelsOf } from "./pictures.ts";

/** Test images of the strip, by class. */
const NAMES = [
  ...["T-shirt", "Trouser", "Pullover", "Dress", "Coat"],
  ...["Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"],
];
const FIRST = 9;

/** What is used of the element's shadow root. */
export type Find = <E extends Element = HTMLElement>(id: string) => E;

/** Wires the controls; `onChoice` gets every image that is chosen, the first test image to begin with. */
export async function chooseImages(find: Find, onChoice: (source: Source) => void): Promise<void> {
  wireUpload(find, onChoice);
  wireDrawing(find, onChoice);
  wireCamera(find, onChoice);
  await addTestImages(find("images"), onChoice);
}

async function addTestImages(group: HTMLElement, onChoice: (source: Source) => void) {
  const strip = new Image();
  strip.src = new URL("../test-images.png", import.meta.url).href;
  await strip.decode();
  for (const [k, name] of NAMES.entries()) {
    const label = document.createElement("label");
    label.innerHTML = `<input type="radio" name="image" aria-label="${name}"><canvas width="28" height="28" aria-hidden="true"></canvas>`;
    const context = label.querySelector("canvas")!.getContext("2d", { willReadFrequently: true })!;
    context.drawImage(strip, -28 * k, 0);
    const input = label.querySelector("input")!;
    const choose = () => onChoice(context.getImageData(0, 0, 28, 28));
    input.addEventListener("change", choose);
    group.append(label);
    if (k !== FIRST) continue;
    input.checked = true;
    choose();
  }
}

/** No test image is the chosen one any more. */
function uncheck(find: Find): void {
  for (const input of find("images").querySelectorAll("input")) input.checked = false;
}

function wireUpload(find: Find, onChoice: (source: Source) => void): void {
  const upload = find<HTMLInputElement>("upload");
  upload.addEventListener("change", () => {
    const [file] = upload.files ?? [];
    if (!file) return;
    uncheck(find);
    onChoice(file);
  });
}

function wireDrawing(find: Find, onChoice: (source: Source) => void): void {
  const canvas = find<HTMLCanvasElement>("canvas");
  const changed = () => {
    uncheck(find);
    onChoice(pixelsOf(canvas, canvas.width, canvas.height));
  };
  const clear = makeDrawable(canvas, changed);
  find("clear").addEventListener("click", clear);
  find("draw").addEventListener("click", () => toggle(find, "draw", "drawing"));
}

function wireCamera(find: Find, onChoice: (source: Source) => void): void {
  const video = find<HTMLVideoElement>("video");
  const end = () => {
    for (const track of (video.srcObject as MediaStream | null)?.getTracks() ?? []) track.stop();
    video.srcObject = null;
  };
  find("camera").addEventListener("click", async () => {
    if (!toggle(find, "camera", "filming")) return end();
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
      await video.play();
    } catch (error) {
      toggle(find, "camera", "filming");
      find("status").textContent = `No camera: ${(error as Error).message}`;
    }
  });
  find("take").addEventListener("click", () => {
    if (video.videoWidth === 0) return;
    uncheck(find);
    onChoice(pixelsOf(video, video.videoWidth, video.videoHeight));
    toggle(find, "camera", "filming");
    end();
  });
}

/** Shows or hides what a button opens; returns whether it is shown. */
function toggle(find: Find, button: string, part: string): boolean {
  const isShown = find(part).hidden === true;
  find(part).hidden = !isShown;
  find(button).setAttribute("aria-expanded", String(isShown));
  return isShown;
}
