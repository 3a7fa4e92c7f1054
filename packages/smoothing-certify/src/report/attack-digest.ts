import type { LogRow } from "../log/log-row.ts";
import { type CertificateTest, testCounts } from "./attacked.ts";
import { countBelow, NumberList } from "./number-list.ts";

/** What tables and curves need of the attacks in a log. */
export class AttackDigest {
  /** Attacked images. */
  images = 0;
  private clean = 0;
  private inside = 0;
  private alpha = 0;
  private readonly list = new NumberList();

  /** Adds a row that was attacked. */
  add({
    radius,
    correct,
    attacked = 0,
    clean = 0,
    settings,
  }: Pick<LogRow, "radius" | "correct"> &
    Partial<Pick<LogRow, "attacked" | "clean" | "settings">>): void {
    this.images++;
    this.clean += clean;
    if (attacked > 0) this.list.push(attacked);
    if (correct && attacked < radius) this.inside++;
    const alpha = (settings?.alpha ?? 0) + Number(settings?.attackAlpha ?? 0);
    this.alpha = Math.max(this.alpha, alpha);
  }

  /** Distances of the points that were found, in ascending order, `Infinity` for none; images that are wrong left out. */
  get distances(): Float64Array {
    return this.list.sorted;
  }

  /** Share of the images that the classifier has right without noise. */
  get cleanAccuracy(): number {
    return this.clean / this.images;
  }

  /** Share of the images whose smoothed class is the label, as far as the attack can tell, at each point closer than r. */
  empiricalAccuracy(r: number): number {
    const { distances } = this;
    return (distances.length - countBelow(distances, r)) / this.images;
  }

  /** Whether more attacks succeeded within certified radii than alpha allows; undefined without an alpha. */
  test(): CertificateTest | undefined {
    if (!(this.alpha > 0 && this.alpha < 1)) return undefined;
    return testCounts(this.images, this.inside, this.alpha);
  }
}
