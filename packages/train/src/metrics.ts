/** Values measured by an evaluation, e.g. `{ accuracy: 0.71 }`. */
export type Metrics = Readonly<Record<string, number>>;
