/** The page inside the element. Colours are those of VitePress where it is on such a page. */
export const template = `
<style>
:host{display:block;container-type:inline-size;color:var(--vp-c-text-1,CanvasText);font:15px/1.5 var(--vp-font-family-base,system-ui,sans-serif);--line:var(--vp-c-divider,color-mix(in srgb,CanvasText 25%,Canvas));--accent:var(--vp-c-brand-1,light-dark(#0b57d0,#a8c7fa));--soft:var(--vp-c-bg-soft,color-mix(in srgb,CanvasText 6%,Canvas))}
*{box-sizing:border-box}
.columns{display:grid;gap:1rem;grid-template-columns:minmax(0,1fr)}
@container (min-width:680px){.columns{grid-template-columns:minmax(0,2fr) minmax(0,3fr)}}
fieldset,section{border:1px solid var(--line);border-radius:10px;padding:.8rem 1rem;margin:0 0 1rem;min-width:0}
legend,h2{font-size:1rem;font-weight:600;margin:0;padding:0 .3rem}h2{padding:0 0 .4rem}
.images{display:grid;grid-template-columns:repeat(auto-fill,minmax(44px,1fr));gap:6px}
.images label{position:relative;display:block}.images input{position:absolute;opacity:0;inset:0;width:100%;height:100%;margin:0;cursor:pointer}
.images canvas{width:100%;display:block;image-rendering:pixelated;border-radius:6px;border:2px solid transparent}
.images input:checked+canvas{border-color:var(--accent)}.images input:focus-visible+canvas{outline:3px solid var(--accent);outline-offset:2px}
.row{display:flex;flex-wrap:wrap;gap:.5rem;align-items:center;margin:.6rem 0 0}
button,.button,select,input[type=text]{font:inherit;color:inherit;background:var(--soft);border:1px solid var(--line);border-radius:8px;padding:.35rem .7rem;cursor:pointer;max-width:100%}
button.main{background:var(--accent);border-color:var(--accent);color:var(--vp-c-bg,Canvas);font-weight:600}
button:disabled{opacity:.55;cursor:default}
:is(button,select,input,.file):focus-visible,.file:focus-within{outline:3px solid var(--accent);outline-offset:2px}
.file{position:relative;overflow:hidden;display:inline-block}.file input{position:absolute;inset:0;opacity:0;cursor:pointer;width:100%}
.drop{border-style:dashed}.setting{display:grid;grid-template-columns:1fr auto;margin:.35rem 0}.setting input{grid-column:1/-1;width:100%;margin:0;accent-color:var(--accent)}
output{font-variant-numeric:tabular-nums}
.pixels{image-rendering:pixelated;width:112px;height:112px;border-radius:6px;background:#000}
.copies{display:grid;grid-template-columns:repeat(8,minmax(0,1fr));gap:4px}.copies canvas{width:100%;image-rendering:pixelated;border-radius:4px}
.bars{width:100%;border-collapse:collapse}.bars :is(th,td){text-align:left;font-weight:400;padding:.1rem .3rem .1rem 0}.bars td:nth-child(2){width:55%}
.bar{display:block;height:.8rem;border-radius:4px;background:var(--accent);min-width:1px}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(118px,1fr));gap:.5rem;margin:.6rem 0}dt{font-size:.85rem}dd{margin:0;font-size:1.15rem;font-weight:600;font-variant-numeric:tabular-nums}
svg{width:100%;height:auto;display:block}svg text{font-size:12px;fill:currentColor}
.status{font-weight:600;min-height:1.5em;margin:.5rem 0}.error{color:var(--vp-c-danger-1,light-dark(#b3261e,#f2b8b5))}
.note{font-size:.88rem;margin:.4rem 0 0}figure{margin:0;text-align:center;font-size:.88rem}.found{display:flex;gap:1rem;flex-wrap:wrap;margin:.6rem 0}
[hidden]{display:none!important}
</style>
<div class="columns">
<div>
<fieldset><legend>1. Image</legend>
<div class="images" id="images" role="radiogroup" aria-label="Test images"></div>
<div class="row">
<button id="draw" type="button" aria-expanded="false">Draw</button>
<label class="button file"><input id="upload" type="file" accept="image/*">Upload</label>
<button id="camera" type="button" aria-expanded="false">Camera</button>
</div>
<div class="row" id="drawing" hidden>
<canvas class="pixels" id="canvas" width="224" height="224" style="touch-action:none;cursor:crosshair" role="img" aria-label="Drawing area: draw a bright item with the pointer"></canvas>
<button id="clear" type="button">Clear</button>
</div>
<div class="row" id="filming" hidden>
<video class="pixels" id="video" muted playsinline aria-label="Camera"></video>
<button id="take" type="button">Take picture</button>
</div>
<div class="row"><label><input id="invert" type="checkbox"> Invert brightness</label></div>
<p class="note">The shipped models know bright items on black.</p>
</fieldset>
<fieldset><legend>2. Model</legend>
<div class="row" style="margin:0"><label for="model">Shipped</label> <select id="model"></select></div>
<div class="row"><label class="button file drop" id="drop"><input id="onnx" type="file" accept=".onnx">Drop or choose an .onnx file</label></div>
<details class="note"><summary>How its images are normalised, and where it runs</summary>
<div class="row"><label for="mean">Mean</label> <input id="mean" type="text" value="0" size="14"></div>
<div class="row"><label for="std">Std</label> <input id="std" type="text" value="1" size="14"></div>
<div class="row"><label for="device">Processor</label> <select id="device"><option value="wasm">CPU (wasm)</option><option value="webgpu">GPU (WebGPU)</option></select></div>
</details>
<p class="note" id="facts" aria-live="polite"></p>
</fieldset>
<fieldset><legend>3. Noise and samples</legend>
<div class="setting"><label for="sigma">Noise, sigma</label><output id="sigma-value" for="sigma"></output><input id="sigma" type="range" min="0.05" max="1" step="0.05" value="0.25"></div>
<div class="setting"><label for="n">Noisy copies, n</label><output id="n-value" for="n"></output><input id="n" type="range" min="2" max="5" step="0.25" value="3"></div>
<div class="setting"><label for="alpha">Allowed error, alpha</label><output id="alpha-value" for="alpha"></output><input id="alpha" type="range" min="-4" max="-1" step="1" value="-3"></div>
<div class="setting"><label for="radius">Stop early at radius</label><output id="radius-value" for="radius"></output><input id="radius" type="range" min="0" max="2" step="0.05" value="0"></div>
</fieldset>
</div>
<div>
<section aria-labelledby="result-title">
<h2 id="result-title">Certificate</h2>
<div class="row" style="margin:0"><canvas class="pixels" id="preview" role="img" aria-label="The chosen image, as the model sees it"></canvas>
<div><button class="main" id="certify" type="button">Certify</button> <button id="stop" type="button" disabled>Stop</button></div></div>
<p class="status" id="status" role="status"></p>
<div id="result" hidden>
<dl><div><dt>Certified radius (l2)</dt><dd id="r">0</dd></div><div><dt>Probability, at least</dt><dd id="p">0</dd></div><div><dt>Noisy copies drawn</dt><dd id="s">0</dd></div></dl>
<table class="bars" aria-label="Votes"><tbody id="votes"></tbody></table>
<svg id="chart" viewBox="0 0 480 170" role="img" aria-label="Certified radius against noisy copies"></svg>
<p class="note">Noisy copies that the model votes on:</p>
<div class="copies" id="copies" role="img" aria-label="Eight noisy copies of the image"></div>
<p class="note">All bounds and radii that you see while it runs hold at once, with probability at least 1 - alpha; so you may stop whenever you like. Whether the class is right is another question.</p>
<div class="row"><button id="save" type="button">Download certificate.json</button> <button id="save-image" type="button">Download image.png</button></div>
</div>
</section>
<section aria-labelledby="attack-title">
<h2 id="attack-title">Attack</h2>
<p class="note" style="margin:0 0 .5rem">Looks for a small change of the image that changes the class. No change below the certified radius can.</p>
<button id="attack" type="button" disabled>Attack</button> <button id="give-up" type="button" disabled>Stop</button>
<p class="status" id="attacked" role="status"></p>
<div id="found" hidden>
<svg id="scale" viewBox="0 0 480 84" role="img" aria-label="Certified radius and smallest perturbation found"></svg>
<div class="found"><figure><canvas class="pixels" id="point" role="img" aria-label="The changed image"></canvas><figcaption>changed image</figcaption></figure>
<figure><canvas class="pixels" id="change" role="img" aria-label="The change, with its contrast stretched"></canvas><figcaption>change, stretched</figcaption></figure></div>
</div>
</section>
</div>
</div>
<p class="note">All of this runs in your browser: no image, model or result leaves the page.</p>
`;
