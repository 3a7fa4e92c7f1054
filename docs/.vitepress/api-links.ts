import type { DefaultTheme, MarkdownRenderer } from "vitepress";

type Item = DefaultTheme.SidebarItem;

/** Name of each function and class of the API -> its page; the main entry of a package comes first. */
function pagesOf(modules: readonly Item[]): Map<string, string> {
  const groups = modules
    .toSorted((a, b) => (a.link ?? "").length - (b.link ?? "").length)
    .flatMap(({ items = [] }) => items)
    .filter(({ text }) => text === "Functions" || text === "Classes");
  const entries = groups.flatMap(({ items = [] }) => items).map(({ text, link }) => [text, link]);
  return new Map(entries.reverse() as [string, string][]);
}

/**
 * A markdown-it plugin that links code such as `certifyDataset` or `certify(x)` in the text of the guide to the API. Names of
 * one word are linked only as calls: `image` may be a variable.
 */
export function apiLinks(md: MarkdownRenderer, modules: readonly Item[]): void {
  const pages = pagesOf(modules);
  const pageOf = (code: string) => {
    const [, name = "", call] = /^(\w+)(\(.*\))?$/.exec(code) ?? [];
    return call || /[a-z][A-Z]/.test(name) ? pages.get(name) : undefined;
  };
  md.core.ruler.push("api-links", ({ tokens, env, Token }) => {
    if (env.path.includes("/docs/api/")) return;
    for (const [i, inline] of tokens.entries()) {
      if (inline.type !== "inline" || tokens[i - 1]?.type === "heading_open") continue;
      let depth = 0;
      inline.children = (inline.children ?? []).flatMap((token) => {
        depth += token.type === "link_open" ? 1 : token.type === "link_close" ? -1 : 0;
        const page = token.type === "code_inline" && depth === 0 && pageOf(token.content);
        if (!page) return [token];
        const open = new Token("link_open", "a", 1);
        open.attrSet("href", page);
        return [open, token, new Token("link_close", "a", -1)];
      });
    }
  });
}
