/** The part of jStat that is used here; the package brings no types. */
declare module "jstat" {
  const jStat: {
    beta: { inv(p: number, alpha: number, beta: number): number };
    normal: { inv(p: number, mean: number, std: number): number };
  };
  export default jStat;
}
