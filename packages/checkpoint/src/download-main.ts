// Test helper: downloads as a process of its own: tsx download-main.ts <url> <to> <sha256>. Prints the path.
import { download } from "./downloads.ts";

const [url = "", to = "", sha256 = ""] = process.argv.slice(2);
process.stdout.write(await download(url, { to, sha256 }));
