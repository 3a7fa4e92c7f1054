import type { Fetch } from "./http-source.ts";

const proxyVariables = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];

/**
 * The global `fetch`; in Node, where `HTTP_PROXY` or `HTTPS_PROXY` is set, one that goes through that
 * proxy (except for the hosts in `NO_PROXY`), which Node's own does not.
 *
 * @internal
 */
export async function defaultFetch(): Promise<Fetch> {
  const environment = globalThis.process?.env ?? {};
  if (!proxyVariables.some((name) => environment[name])) return globalThis.fetch;
  const { EnvHttpProxyAgent, fetch } = await import("undici");
  const dispatcher = new EnvHttpProxyAgent();
  return ((url: string, init: object) => fetch(url, { ...init, dispatcher })) as unknown as Fetch;
}
