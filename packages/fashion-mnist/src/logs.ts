/** Certification logs that others published for Fashion-MNIST. */
export { type PublishedLog, publishedLogs, publishedSettings } from "./published-logs.ts";
