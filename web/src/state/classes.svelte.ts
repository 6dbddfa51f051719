/** Which classes are drawn, and in which colours. */

import { classColours } from '../core/colours'
import type { Manifest } from '../core/manifest'

export class ClassFilter {
  readonly colours: string[]
  shown = $state<boolean[]>([])
  highlighted = $state<number | null>(null)

  constructor(
    { colours, data }: Manifest,
    private readonly labels: ArrayLike<number> | null,
  ) {
    this.colours = classColours(colours, data.classes.length)
    this.shown = data.classes.map(() => true)
  }

  /** Whether an image is drawn. */
  isShown = (index: number): boolean => !this.labels || this.shown[this.labels[index]]

  toggle(label: number): void {
    this.shown = this.shown.map((on, i) => (i === label ? !on : on))
  }

  showAll(): void {
    this.shown = this.shown.map(() => true)
  }

  /** Shows one class alone; a second time, all of them. */
  solo(label: number): void {
    const alone = this.shown.every((on, i) => on === (i === label))
    this.shown = this.shown.map((_, i) => alone || i === label)
  }
}
