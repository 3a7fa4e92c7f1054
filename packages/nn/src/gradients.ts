// tfjs-core first: if the inlined registration ran before it, the inlined engine would win.
import "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-core/dist/register_all_gradients.js";
