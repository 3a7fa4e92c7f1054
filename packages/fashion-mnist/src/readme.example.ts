import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { files } from "@dmae/fashion-mnist";

const images = gunzipSync(readFileSync(files.trainImages));
console.log(images.readUInt32BE(4), images.length); // 60000 47040016
