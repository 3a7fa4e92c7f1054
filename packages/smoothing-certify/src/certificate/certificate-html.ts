import type { CertificateFile } from "./certificate-file.ts";
import { checksOf, claimOf, smoothingOf } from "./report-lines.ts";
import type { CertificateReport } from "./verify-certificate.ts";

/**
 * A checked certificate as one page of HTML for print: the claim in words, what was checked, votes, and every field. It
 * loads nothing and runs no script.
 *
 * @param report of `verifyCertificate`, so that nothing unchecked gets a page
 * @returns a whole HTML document
 * @example
 * await writeFile("certificate.html", certificateHtml(await verifyCertificate(text, { publicKey })));
 */
export function certificateHtml(report: CertificateReport): string {
  const { certificate } = report;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Certificate of robustness</title>
<style>${style}</style>
</head>
<body>
<h1>Certificate of robustness</h1>
<p class="claim">${claimOf(certificate)}</p>
<p>${smoothingOf(certificate)} A certificate does not say whether the class is right, and it holds only if nobody knew the seed when
the input was chosen.</p>
<h2>Checked</h2>
<ul>${checksOf(report).map(item).join("")}</ul>
<h2>Votes of ${certificate.n} noisy copies</h2>
${votes(certificate)}
<h2>Fields</h2>
${list(fields(certificate))}
</body>
</html>
`;
}

const style =
  "@page{size:A4;margin:12mm}body{font:10.5pt/1.35 system-ui,sans-serif;color:#111;max-width:50rem;margin:1rem auto;padding:0 1rem}" +
  "h1{font-size:17pt;margin:0 0 .4em}h2{font-size:11.5pt;margin:1em 0 .3em}.claim{font-size:12.5pt;border-left:4px solid #0072b2;padding-left:.8em}" +
  "ul{padding-left:1.2em;margin:0}table{border-collapse:collapse;width:100%}th,td{text-align:left;font-weight:400;padding:.12em .4em}meter{width:100%}td.bar{width:65%}" +
  ".fields{columns:2;column-gap:1.5rem}.fields div{break-inside:avoid;border-bottom:1px solid #ddd;padding:.15em 0;overflow-wrap:anywhere}.fields span{color:#444;margin-right:.6em}code{font-size:9pt}" +
  "@media print{body{margin:0;padding:0;max-width:none;font-size:9.5pt}code{font-size:8pt}}";

/** The classes with most votes, and all others together. */
function votes({ counts, n }: CertificateFile): string {
  const most = [...counts.entries()].filter(([, count]) => count > 0);
  most.sort(([, a], [, b]) => b - a).splice(5);
  const rest = n - most.reduce((sum, [, count]) => sum + count, 0);
  const rows: [string, number][] = most.map(([c, count]) => [`class ${c}`, count]);
  if (rest > 0) rows.push(["all others", rest]);
  const row = ([name, count]: [string, number]) =>
    `<tr><th>${name}</th><td>${count}</td><td class="bar"><meter value="${count / n}" aria-label="${name}"></meter></td></tr>`;
  return `<table>${rows.map(row).join("")}</table>`;
}

function fields(certificate: CertificateFile): [string, unknown][] {
  const { counts0: _, counts: __, input, model, versions, signature, ...rest } = certificate;
  const inner = (name: string, record: object = {}) =>
    Object.entries(record).map(([key, value]): [string, unknown] => [`${name} ${key}`, value]);
  return [
    ...Object.entries(rest),
    ...inner("input", input),
    ...inner("model", model),
    ...inner("version", versions),
    ...inner("signature", signature),
  ];
}

const list = (rows: readonly [string, unknown][]) =>
  `<div class="fields">${rows.map(([name, value]) => `<div><span>${escaped(name)}</span><code>${escaped(text(value))}</code></div>`).join("")}</div>`;

const text = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));

const item = (content: string) => `<li>${escaped(content)}</li>`;

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

const escaped = (content: string) =>
  content.replace(/[&<>"']/g, (character) => entities[character]!);
