/** Containers inside each other that a file may have; formats that are read here need ten at most. */
const defaultDepth = 64;

/**
 * JSON from a file that a stranger may have written: as `JSON.parse`, but a key that occurs twice
 * in an object (of which `JSON.parse` keeps the last) and deep nesting (which overflows the stack
 * of whoever walks through the value) are errors.
 *
 * @param maxDepth most containers inside each other
 * @throws Error with the reason; the caller adds the name of the file
 * @internal
 */
export function parseStrictJson(text: string, maxDepth = defaultDepth): unknown {
  checkStructure(text, maxDepth);
  return JSON.parse(text);
}

const [quote, backslash, colon] = [0x22, 0x5c, 0x3a];
const [braceOpen, braceClose, bracketOpen, bracketClose] = [0x7b, 0x7d, 0x5b, 0x5d];

/** Walks over the tokens once; what is no JSON is left for `JSON.parse` to report. */
function checkStructure(text: string, maxDepth: number): void {
  const open: (Set<string> | undefined)[] = []; // the keys of each object that is open
  let last: [start: number, end: number] | undefined;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) {
      const end = endOfString(text, at);
      last = [at, end];
      at = end - 1;
    } else if (code === colon && last) {
      addKey(open.at(-1), text.slice(...last));
      last = undefined;
    } else if (code === braceOpen || code === bracketOpen) {
      open.push(code === braceOpen ? new Set() : undefined);
      if (open.length > maxDepth) throw new Error(`it nests values more than ${maxDepth} deep`);
    } else if (code === braceClose || code === bracketClose) open.pop();
  }
}

/** One past the closing quote of the string that opens at `start`. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === backslash) at++;
    else if (code === quote) return at + 1;
  }
  return text.length;
}

function addKey(keys: Set<string> | undefined, literal: string): void {
  const isPlain = literal.endsWith('"') && !literal.includes("\\");
  const key = isPlain ? literal.slice(1, -1) : (JSON.parse(literal) as string);
  if (keys?.has(key)) throw new Error(`it has the key ${JSON.stringify(key.slice(0, 100))} twice`);
  keys?.add(key);
}
