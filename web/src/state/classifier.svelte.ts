/** What a classifier says of places, while its overlay is on the map. */

import type { Neighbour } from '../core/neighbours'
import { Predictions, type Prediction } from '../core/prediction'
import type { Explorer } from './explorer.svelte'

export class Classifier {
  private predictions = $state.raw<Predictions | null>(null)

  constructor(private readonly explorer: Explorer) {}

  /** Whether what it says is of the codes and the decoder that are shown. */
  get available(): boolean {
    const { manifest, outdated, planes, networks, pins, points } = this.explorer
    const { classifier } = manifest
    const here = classifier && (points.D === 2 ? planes.turned : classifier.plane === planes.plane.id && !pins.pin)
    return Boolean(here) && !outdated && !planes.snapshot && networks.condition === 0
  }

  async load(): Promise<Predictions> {
    const { source, manifest } = this.explorer
    const { x, y } = manifest.classifier!
    const labels = await source.integers('classifier_labels')
    const shares = await source.floats('classifier_shares')
    return (this.predictions ??= new Predictions(labels, shares, Math.sqrt(labels.length), { x, y }))
  }

  /** What it says of a place; null where it says nothing, or is not on the map. */
  at(u: number, v: number): Prediction | null {
    const { planes, points, surface } = this.explorer
    if (surface.overlay !== 'classifier' || !this.available) return null
    const [x, y] = points.D === 2 ? planes.plane.toLatent(u, v, null) : [u, v]
    return this.predictions?.at(x, y) ?? null
  }

  /** The image nearest to a code of the plane that is said to be of another class; null: there is none. */
  across(z: Float32Array): (Neighbour & Prediction) | null {
    const { planes, points } = this.explorer
    const own = points.D === 2 && this.at(...planes.ofLatent(z)!)
    if (!own) return null
    const other = (index: number): Prediction | null => {
      const found = this.at(...planes.place(index))
      return found && found.label !== own.label ? found : null
    }
    const [near] = points.nearest(z, 1, (index) => other(index) !== null)
    return near ? { ...near, ...other(near.index)! } : null
  }
}
