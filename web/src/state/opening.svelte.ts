/** The opening of a first visit: a morph between two classes, which plays once by itself. */

import { linear } from '../core/paths'
import { unstack } from '../core/rows'
import type { Explorer } from './explorer.svelte'

const FRAMES = 40
const FRAME_MILLISECONDS = 130

export class Opening {
  /** Codes on the way, and the image decoded at each; empty until they have been decoded. */
  path: Float32Array[] = []
  frames = $state.raw<Float32Array[]>([])
  at = $state(0)
  playing = $state(false)
  /** Names of the classes at the two ends, where there are any. */
  names: [string, string] | null = null

  constructor(private readonly explorer: Explorer) {}

  /** Decodes the way between the two classes that lie farthest apart, and begins. */
  async begin(): Promise<void> {
    const { points, networks, manifest, planes } = this.explorer
    const ends = planes.farthest()
    if (!ends) return
    const [a, b] = ends
    const codes = linear(points.z(a), points.z(b), FRAMES)
    const images = await networks.decode(codes)
    this.path = unstack(codes, points.D)
    if (points.labels) this.names = [a, b].map((index) => manifest.data.classes[points.labels![index]]) as [string, string]
    this.frames = unstack(images, images.length / FRAMES)
    this.playing = true
  }

  /** Plays to the end; returns what stops it. */
  play(): () => void {
    const timer = setInterval(() => {
      if (this.at < FRAMES - 1) this.at++
      else this.playing = false
    }, FRAME_MILLISECONDS)
    return () => clearInterval(timer)
  }
}
