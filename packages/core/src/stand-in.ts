/**
 * What a file really is when a download or a checkout left something else in its place: a Git LFS
 * pointer or a web page, with the way to get the real file. Every reader of files asks this before
 * it reports a damaged file.
 *
 * @param start the first bytes of the file; 512 are enough
 * @returns a phrase that continues "the file is …"; undefined for anything else
 * @internal
 */
export function standIn(start: Uint8Array): string | undefined {
  const text = String.fromCharCode(...start.subarray(0, 512)).replace(/^\xef\xbb\xbf/, "");
  return kinds.find(({ pattern }) => pattern.test(text))?.what;
}

const kinds = [
  {
    pattern: /^version https:\/\/(git-lfs|hawser)\.github\.com\/spec\//,
    what: "a Git LFS pointer, not the file itself; fetch it with git lfs pull",
  },
  {
    pattern: /^version https:\/\/[\w.-]+\/spec\/v\d+\r?\noid sha256:/,
    what: "a Git LFS pointer, not the file itself; fetch it with git lfs pull",
  },
  {
    pattern: /^\s*(<!--[\s\S]{0,400}?-->\s*)?<(!doctype\s+html|html|head|body)\b/i,
    what: "a web page: the link answers with a page, not with the file; download it in a browser, or use the link of the raw file",
  },
  {
    pattern: /^\s*<\?xml[^>]{0,200}\?>\s*<(!doctype\s+html|html|error)\b/i,
    what: "a web page: the link answers with a page, not with the file; download it in a browser, or use the link of the raw file",
  },
];
